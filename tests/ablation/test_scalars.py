"""What a plain word means, in files and in ``--set``: text is text, numbers are decimal."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from bench.ablation.layers import Layer, assignment
from bench.ablation.scalars import resolve
from bench.ablation.yamlfile import ConfigError, loads


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    number: int = 0
    real: float = 0.0
    text: str = ""
    yes: bool = False


def read(name: str, value: str) -> object:
    layer = Layer()
    layer.assign([f"{name}={value}"])
    return getattr(layer.read(Fields), name)


def from_file(name: str, value: str) -> object:
    document = loads(f"{name}: {value}", Path("f.yaml"))
    return getattr(Layer.of(document, "a mapping").read(Fields), name)


@pytest.mark.parametrize("how", [read, from_file])
@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("number", "10", 10),
        ("number", "010", 10),
        ("number", "-3", -3),
        ("real", "1e-3", 1e-3),
        ("real", "1e300", 1e300),
        ("real", ".5", 0.5),
        ("real", "0.30", 0.3),
        ("yes", "no", False),
        ("yes", "true", True),
        ("text", "2024", "2024"),
        ("text", "0.30", "0.30"),
        ("text", "010", "010"),
        ("text", "1e3", "1e3"),
        ("text", "no", "no"),
        ("text", "2024-01-01", "2024-01-01"),
        ("text", "1:30", "1:30"),
        ("text", "0x10", "0x10"),
    ],
)
def test_a_word_means_what_a_reader_takes_it_for(how, name, value, meant):
    found = how(name, value)
    assert found == meant and type(found) is type(meant)


@pytest.mark.parametrize("how", [read, from_file])
@pytest.mark.parametrize("value", ["1:30", "0x10", "0b1", "0o17", "1.5", "ten"])
def test_a_number_is_decimal_or_refused(how, value):
    with pytest.raises(ConfigError, match=r"number: .*integer"):
        how("number", value)


@pytest.mark.parametrize("value", ["a #b", "a: b", "[x]/y", "*a", "&a", "!x", "- a", "a,b"])
def test_the_command_line_takes_a_path_as_it_stands(value):
    assert read("text", value) == value


def test_what_is_quoted_is_text_and_what_is_yaml_is_read():
    assert assignment('a.b="010"') == (("a", "b"), "010")
    assert assignment("a=[1, x]") == (("a",), [1, "x"])
    assert assignment("a={b: 1}") == (("a",), {"b": 1})
    assert assignment("a=null") == (("a",), None)


@pytest.mark.parametrize("value", ["true", "null"])
def test_a_word_that_means_something_else_is_to_be_quoted(value):
    with pytest.raises(ConfigError, match=f"quote it: '{value}'"):
        from_file("text", value)


def test_an_unknown_field_says_which_was_meant():
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        read("numbre", "1")


@pytest.mark.parametrize("text", ["!!int ''", "!!int '1'", "!!python/none x", "!a b"])
def test_tags_are_refused_with_their_line(text):
    with pytest.raises(ConfigError, match=r"f\.yaml:1"):
        loads(f"a: {text}", Path("f.yaml"))


def test_long_numbers_are_refused():
    with pytest.raises(ValueError, match="64 bits"):
        resolve("9" * 30)
    with pytest.raises(ValueError, match="characters"):
        resolve("1" * 400_000)
    assert resolve("1:" * 200_000) == "1:" * 200_000  # text, and at once


def test_another_member_drops_what_only_the_old_one_has():
    layer = Layer({"data": {"name": "digits", "noise": 0.5, "size": 100}})
    layer.assign(["data.name=image_folder", "data.root=x"])
    assert layer.data["data"] == {"name": "image_folder", "size": 100, "root": "x"}
