"""Ablation files that would take for ever, or stand where no file is: one line each, soon."""

import os
import signal
from pathlib import Path

import pytest

from bench.ablation.file import Layer, read_ablation
from bench.ablation.yamlfile import MAX_ITEMS, ConfigError, loads
from tests.executors.common import ROOT

PROFILE = str(ROOT / "ablations/profiles/smoke.yaml")
HEAD = "question: q\ncontrast: {metric: tau, of: a, against: b}\n"
MANY = "".join(f"      k{i}: 1\n" for i in range(MAX_ITEMS // 3))


@pytest.fixture(autouse=True)
def in_time():
    """End a test that would go on for minutes, as all of these once did."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: " + "9" * 900_000, "x:1: a: a number of 900000 characters"),
        ("a: 1" + "." + "5" * 900_000, "x:1: a: a number of 900002 characters"),
        ("\n".join(f"k{i}: 1" for i in range(60_000)), f"x:10000: more than {MAX_ITEMS} keys"),
        ("a: [" + "1," * 100_000 + "]", f"x:1: more than {MAX_ITEMS} keys"),
        *(
            (
                f"a:\n  b: !!{kind} {text}",
                f"x:2: a.b: tag 'tag:yaml.org,2002:{kind}' is not allowed",
            )
            for kind, text in (
                ("int", "''"),
                ("float", "''"),
                ("bool", "maybe"),
                ("int", "'x'"),
                ("int", "x"),
                ("int", "'1:x'"),
            )
        ),
    ],
)
def test_numbers_and_keys_are_bounded_and_named(text, says):
    with pytest.raises(ConfigError) as caught:
        loads(text, Path("x"))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "body",
    [
        "space:\n  name: nb201\n  sub:\n" + MANY + "variants: {a: {}, b: {}}\n",
        "variants:\n  b: {}\n  a:\n    search:\n" + MANY,
        "variants:\n  b: {}\n  a:\n    skip_dropout:\n" + MANY,
        "variants: {a: {}, b: {}}\n" + MANY.replace("      ", ""),
        "variants:\n  a: {}\n  b: {}\n" + MANY.replace("    k", "k").replace(" 1", " {}"),
        "variants:\n  b: {}\n  a:\n    instruments:\n" + MANY.replace("k", "- k"),
    ],
)
def test_thousands_of_keys_anywhere_are_refused_in_one_line(tmp_path, body):
    (tmp_path / "x.yaml").write_text(HEAD + body)
    with pytest.raises(ConfigError, match=r"x.yaml:\d+: ") as caught:
        read_ablation(tmp_path / "x.yaml", PROFILE)
    assert "\n" not in str(caught.value)


def test_a_pipe_or_a_device_is_no_ablation_file(tmp_path):
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match=r"x.yaml:1: is a named pipe, not a regular file"):
        read_ablation(tmp_path / "x.yaml", PROFILE)
    (tmp_path / "y.yaml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"y.yaml:1: is a device, not a regular file"):
        read_ablation(tmp_path / "y.yaml", PROFILE)


def test_where_a_setting_was_said_follows_the_last_who_said_it():
    layer = Layer()
    layer.put(
        ("a",),
        {"b": 1, "c": [{"d": 2}]},
        {
            ("a",): "p:1",
            ("a", "b"): "p:2",
            ("a", "c"): "p:3",
            ("a", "c", 0): "p:4",
            ("a", "c", 0, "d"): "p:5",
        },
    )
    assert layer.where(("a", "c", 0, "d"), "") == "p:5"
    layer.put(("a", "b"), 3, {("a", "b"): "--set"})
    assert (layer.where(("a", "b"), ""), layer.where(("a", "c"), "")) == ("--set", "p:3")
    layer.put(("a",), {"c": 4, "e": {"f": 5}}, {("a",): "v:1", ("a", "e", "f"): "v:3"})
    assert layer.data == {"a": {"b": 3, "c": 4, "e": {"f": 5}}}
    assert [layer.where(("a", *rest), "") for rest in (["b"], ["c"], ["e", "f"])] == [
        "--set",
        "v:1",
        "v:3",
    ]
