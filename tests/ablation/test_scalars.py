"""What a plain word means, in files and in ``--set``: text is text, numbers are decimal."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from bench.ablation.file import read_ablation
from bench.ablation.layers import Layer, assignment
from bench.ablation.scalars import resolve
from bench.ablation.yamlfile import ConfigError, loads
from bench.contracts.identity import Place


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    place: Place = Path()
    or_none: Place | None = None
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


@pytest.mark.parametrize("how", [read, from_file])
@pytest.mark.parametrize("name", ["place", "or_none"])
@pytest.mark.parametrize("value", ["2024", "010", "0.30", "1e3", "-1", "1:30", "no", "2024-01-01"])
def test_a_path_may_look_like_a_number(how, name, value):
    assert how(name, value) == Path(value)


@pytest.mark.parametrize("value", ["[x]", "{x}", "true"])
def test_a_path_that_is_read_as_something_else_is_to_be_quoted(value):
    with pytest.raises(ConfigError, match=f"{re.escape(value)}: place: expected .* quote"):
        read("place", value)
    assert read("place", f'"{value}"') == Path(value)


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


def test_what_would_become_zero_is_refused():
    with pytest.raises(ValueError, match="too small"):
        resolve("1e-400")
    assert resolve("0e5") == resolve("0.00") == resolve("-0.0") == 0


SETTINGS = """
question: x
contrast: {metric: skip_count, of: b, against: a}
variants:
  a: {}
  b: {skip_dropout: {rate: 0.3}}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate: 0.3", "rate: false"),
        ("rate: 0.3", "rate: [0.1, false]"),
        ("a: {}", "a: {search: {epochs: true}}"),
        ("a: {}", "a: {search: {weights: {lr: true}}}"),
        ("a: {}", "a: {search: {architecture: {betas: [0.5, false]}}}"),
        ("a: {}", "a: {space: {cells: true}}"),
        ("a: {}", "a: {ranking: {population: {size: true}}}"),
        ("a: {}", "a: {ranking: {images: true}}"),
        ("a: {}", "a: {data: {split_seed: false}}"),
        ("a: {}", "a: {instruments: [{name: cell, every: true}]}"),
        ("a: {}", "a: {truth: {name: standalone, epochs: true}}"),
        ("of: b", "smallest: true, of: b"),
    ],
)
def test_a_truth_value_is_no_number(tmp_path, old, new):
    """Pydantic takes true for 1: one epoch, a rate of 1."""
    path = tmp_path / "x.yaml"
    path.write_text(SETTINGS.replace(old, new))
    line = 1 + SETTINGS.replace(old, new)[: SETTINGS.index(old)].count("\n")
    with pytest.raises(ConfigError, match=rf"x\.yaml:{line}: .*(true|false)") as caught:
        read_ablation(path, "smoke")
    assert "constrained" not in str(caught.value) and "[" not in str(caught.value).split(": ")[1]


def test_a_truth_value_is_one_where_one_is_meant(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(SETTINGS.replace("a: {}", "a: {deterministic: false, data: {flip: true}}"))
    settings = read_ablation(path, "smoke").arms[0].settings
    assert settings.deterministic is False and settings.data.flip is True


@pytest.mark.parametrize("how", ["option", "arm", "kept"])
def test_a_population_may_be_said_in_a_word(tmp_path, how):
    """Whatever the profile says of its size; it stays."""
    path = tmp_path / "x.yaml"
    own = "a: {ranking: {population: known}}" if how == "arm" else "a: {}"
    path.write_text(SETTINGS.replace("a: {}", own))
    sets = {"option": ["ranking.population=known"], "arm": []}.get(
        how, ["ranking.population=known", "ranking.population.size=7"]
    )
    population = read_ablation(path, "smoke", sets).arms[0].settings.ranking.population
    assert population.kind == "known" and population.size == (7 if how == "kept" else 20)
