"""Hundreds of malformed ablation files, made by rule and at random: one line each, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError

PROFILES = Path(__file__).parents[2] / "ablations" / "profiles"
SMOKE = str(PROFILES / "smoke.yaml")
FULL = {
    "question": "Does it?",
    "contrast": {"metric": "skip_count", "of": "b", "against": "a", "expect": "lower"},
    "space": {"name": "nb201", "channels": 4, "cells": 1},
    "variants": {
        "a": {},
        "b": {
            "skip_dropout": {"rate": 0.3, "schedule": "constant"},
            "data": {"name": "digits", "size": 128},
            "truth": {"name": "analog"},
            "hypergradient": {"name": "darts_second_order"},
            "selection": {"name": "argmax"},
            "instruments": [{"name": "cell"}, {"name": "supernet_accuracy"}],
            "ranking": {"population": {"size": 20}, "images": 64, "batch": 64, "resamples": 50},
            "search": {
                "epochs": 2,
                "batch": 32,
                "order": "weights_first",
                "precision": "float32",
                "weights": {
                    "lr": 0.025,
                    "lr_min": 0.001,
                    "momentum": 0.9,
                    "nesterov": True,
                    "weight_decay": 5e-4,
                    "clip": 5.0,
                },
                "architecture": {
                    "lr": 3e-4,
                    "betas": [0.5, 0.999],
                    "weight_decay": 1e-3,
                    "initial": 0.1,
                },
            },
            "device": "cpu",
            "threads": 1,
            "deterministic": True,
        },
    },
}
WRONG = {
    "a list": [1, 2, 3, 4, 5],
    "a mapping": {"surprise": 1},
    "text": "!?",
    "a negative number": -7,
    "infinity": float("inf"),
    "a huge number": 10**400,
}


def paths(value, at=()):
    """Yield the path of everything in a nested mapping."""
    if at:
        yield at
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in pairs:
        yield from paths(inner, (*at, key))


def put(value, at, new):
    """Return a nested mapping with one place changed; ``new`` changes the place's parent."""
    if len(at) == 1:
        copy = dict(value) if isinstance(value, dict) else list(value)
        new(copy, at[0])
        return copy
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(value[at[0]], at[1:], new)
    return copy


def wrong_values():
    """Yield (name, file, path) with one value of the full file of a wrong kind."""
    for at in paths(FULL):
        for name, wrong in WRONG.items():
            if name in ("text", "a negative number", "infinity") and at == ("question",):
                continue  # text is text, and that is a question

            def assign(parent, key, wrong=wrong):
                parent[key] = wrong

            yield f"{'.'.join(map(str, at))} is {name}", put(FULL, at, assign), at


def unknown_keys():
    """Yield files with a key that nobody knows, in every mapping."""
    for at in [(), *paths(FULL)]:
        inside = FULL
        for key in at:
            inside = inside[key]
        if isinstance(inside, dict) and at != ("variants",):

            def assign(parent, key):
                parent[key] = 1

            yield f"unknown key in {'.'.join(map(str, at))}", put(FULL, (*at, "zzz"), assign), at


CASES = [*wrong_values(), *unknown_keys()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("malformed")


def refusal(path):
    """Read a file and return why it was refused; None where it was not."""
    try:
        read_ablation(path, SMOKE)
    except ConfigError as error:
        return str(error)
    return None


def test_the_full_file_is_sound(folder):
    path = folder / "full.yaml"
    path.write_text(yaml.safe_dump(FULL, sort_keys=False))
    assert refusal(path) is None
    assert len(CASES) >= 200


def lines_of(text):
    """Return the lines on which the keys of a dumped file stand, by path."""
    from bench.ablation.yamlfile import loads

    return loads(text, Path("f")).lines


def test_hundreds_of_malformed_files(folder):
    refused, accepted = 0, []
    for number, (name, data, at) in enumerate(CASES):
        path = folder / f"case{number}.yaml"
        text = yaml.safe_dump(data, sort_keys=False)
        path.write_text(text)
        message = refusal(path)
        if message is None:
            accepted.append(name)
            continue
        refused += 1
        found = re.fullmatch(rf"{re.escape(str(path))}:(\d+): (.+)", message)
        assert found and len(message) < 900, (name, message)
        line, rest = int(found[1]), found[2]
        lines = lines_of(text.replace(str(10**400), "1"))
        first = min(n for p, n in lines.items() if p[: len(at)] == at[: len(p)] and p)
        assert first <= line <= len(text.splitlines()), (name, message)
        # The field is named: by its own name, its parent's, or that of the variant.
        words = {str(part) for part in at[-3:]} | {"zzz", "variants", "(the file)"}
        assert any(word in rest for word in words), (name, message)
    print(f"\nmalformed: {refused} of {len(CASES)} refused with file, line and field")
    assert refused >= 200
    assert accepted == []


TEXTS = {
    "utf-16": "question: x\n".encode("utf-16"),
    "latin-1": b"question: caf\xe9\n",
    "nul": b"question: a\0b\n",
    "bom only": b"\xef\xbb\xbf",
    "binary": bytes(range(256)),
    "a gzip": b"\x1f\x8b\x08\x00" + b"\0" * 40,
    "billion laughs": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
    "merge key": b"question: &q {a: 1}\nb: {<<: *q}\n",
    "deep flow": b"question: " + b"[" * 5000,
    "deep block": b"".join(b" " * n + b"a:\n" for n in range(300)),
    "huge": b"question: x\n" + b"#" * 1_000_001,
    "object": b"question: !!python/object/new:os.system [ls]\n",
    "tuple": b"question: !!python/tuple [1]\n",
    "binary tag": b"question: !!binary aGVsbG8=\n",
    "set tag": b"question: !!set {a}\n",
    "timestamp": b"question: 2020-01-01\n",
    "complex key": b"? {a: 1}\n: b\n",
    "many documents": b"--- a\n--- b\n",
    "directive": b"%YAML 9.9\n--- a\n",
    "only a comment": b"# nothing\n",
    "a string": b"hello\n",
    "an alias to nothing": b"question: *nothing\n",
    "unclosed quote": b'question: "x\n',
    "bad escape": b'question: "\\q"\n',
    "bad indentation": b"question: x\n  contrast: y\n",
    "line separator": "question: \u2028x\ncontrast: 3\n".encode(),
    "big int": b"question: x\nspace: " + b"9" * 5000 + b"\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_yaml_or_too_much_of_it(folder, name):
    path = folder / "text.yaml"
    path.write_bytes(TEXTS[name])
    message = refusal(path)
    assert message is not None and re.match(rf"{re.escape(str(path))}:\d+: ", message), message
    assert "\n" not in message and len(message) < 900


@pytest.mark.parametrize("kind", ["folder", "missing", "loop", "fifo-like"])
def test_what_is_no_file(folder, kind):
    path = folder / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "fifo-like":
        path = Path("/dev/null")
    message = refusal(path)
    assert message is not None and message.startswith(f"{path}:1: ") and "\n" not in message


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def check(path, text):
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    message = refusal(path)  # anything but a ConfigError would come through
    if message is not None:
        assert "\n" not in message and re.match(rf"{re.escape(str(path))}:\d+: ", message), message


@FUZZ
@given(text=st.text(max_size=200))
def test_fuzz_any_text(folder, text):
    check(folder / "fuzz.yaml", text)


@FUZZ
@given(at=st.sampled_from(list(paths(FULL))), value=ANY)
def test_fuzz_any_value_in_any_place(folder, at, value):
    def assign(parent, key):
        parent[key] = value

    check(folder / "fuzz.yaml", yaml.safe_dump(put(FULL, at, assign), sort_keys=False))


@FUZZ
@given(data=st.data())
def test_fuzz_changed_characters(folder, data):
    text = yaml.safe_dump(FULL, sort_keys=False)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 6))
        new = data.draw(st.text(alphabet="{}[]:,-#&*!|>'\"%@`\t\n abc019.", max_size=4))
        text = text[:at] + new + text[at + cut :]
    check(folder / "fuzz.yaml", text)


@pytest.mark.parametrize("number", [0, 40, 90])
def test_the_command_says_the_same(folder, number):
    name, data, _ = CASES[number]
    path = folder / "command.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "plan", str(path), "--profile", SMOKE],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROFILES.parents[1],
    )
    assert done.returncode == 2 and done.stdout == "", name
    assert done.stderr == f"error: {refusal(path)}\n" and "Traceback" not in done.stderr
