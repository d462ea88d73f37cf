"""Ablation files: what they mean, and what is said of malformed ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError, loads
from bench.runs.contents import Contents
from bench.runs.spec import plan

GOOD = """\
question: Does it?
contrast: {metric: skip_count, of: b, against: a, expect: lower}
space: nb201
variants:
  a: {}
  b:
    skip_dropout: {rate: 0.3}
    search: {epochs: 7}
"""
PROFILES = Path(__file__).parents[2] / "ablations" / "profiles"


def write(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return path


def read(tmp_path, text, **options):
    options.setdefault("profile", str(PROFILES / "smoke.yaml"))
    return read_ablation(write(tmp_path, text), **options)


def test_profile_file_and_command_line_become_settings(tmp_path):
    ablation = read(
        tmp_path, GOOD, sets=["search.epochs=5", "data.size=64", "search.weights.lr=1e-2"]
    )
    a, b = ablation.arms
    assert a.settings.search.epochs == 5 and b.settings.search.epochs == 7  # a variant overrides
    assert a.settings.data.name == "digits" and a.settings.data.size == 64
    assert a.settings.search.weights.lr == 0.01 and a.settings.search.weights.momentum == 0.9
    assert a.settings.space.channels == 4
    assert [v.name for v in b.interventions] == ["skip_dropout"] and a.interventions == ()
    assert ablation.seeds == (0, 1)


def test_naming_another_member_drops_the_old_ones_parameters(tmp_path):
    text = GOOD.replace("  a: {}", "  a:\n    data: {name: image_folder, root: here}")
    assert read(tmp_path, text).arms[0].settings.data.size is None
    sets = ["data.name=image_folder", "data.root=here"]
    assert read(tmp_path, GOOD, sets=sets).arms[0].settings.data.size == 256


def test_selection_follows_the_variant_unless_named(tmp_path):
    text = GOOD.replace("  a: {}", "  a:\n    uniform_sampling: {}")
    a, b = read(tmp_path, text).arms
    assert (a.settings.selection.name, b.settings.selection.name) == ("best_sampled", "argmax")


@pytest.mark.parametrize(("given", "expected"), [("3", (0, 1, 2)), ("4,1", (4, 1)), ("3,", (3,))])
def test_seeds(tmp_path, given, expected):
    assert read(tmp_path, GOOD, seeds=given).seeds == expected


def test_identity_is_settings_variants_and_seed_not_names(tmp_path):
    first = plan(read(tmp_path, GOOD))
    renamed = plan(read(tmp_path, GOOD.replace("b:", "c:").replace("of: b", "of: c")))
    assert [s.digest for s in first] == [s.digest for s in renamed]
    assert len({s.digest for s in first}) == 4
    changed = plan(read(tmp_path, GOOD, sets=["search.weights.lr=0.02"]))
    assert not {s.digest for s in first} & {s.digest for s in changed}


@pytest.mark.parametrize("name", ["smoke", "quick", "laptop", "paper"])
def test_shipped_profiles_and_ablations_are_sound(name):
    for path in PROFILES.parent.glob("**/*.yaml"):
        if path.parent.name not in ("profiles", "protocols", "truth"):
            assert plan(read_ablation(path, name), (), Contents().lenient())


V = "variants:\n  a: {}\n  b:\n    skip_dropout: {rate: 0.3}\n    search: {epochs: 7}\n"
MALFORMED = [
    # (name, old, new, line, part of the message)
    ("empty", GOOD, "", 1, "mapping"),
    ("a list", GOOD, "- a\n- b\n", 1, "mapping"),
    ("a scalar", GOOD, "42", 1, "mapping"),
    ("no question", "question: Does it?\n", "", 1, "question"),
    ("empty question", "question: Does it?", "question: ''", 1, "question"),
    ("question is a list", "question: Does it?", "question: [a]", 1, "question"),
    (
        "no contrast",
        "contrast: {metric: skip_count, of: b, against: a, expect: lower}\n",
        "",
        1,
        "contrast",
    ),
    ("contrast without metric", "metric: skip_count, ", "", 2, "contrast.metric"),
    ("contrast of nobody", "of: b", "of: bb", 2, "contrast.of: no variant 'bb'"),
    ("contrast against nobody", "against: a", "against: z", 2, "contrast.against"),
    ("contrast with itself", "of: b", "of: a", 2, "contrast"),
    ("unknown expectation", "expect: lower", "expect: low", 2, "contrast.expect"),
    ("unknown contrast key", "expect: lower", "hope: lower", 2, "contrast.hope: unknown field"),
    ("unknown key", "space: nb201", "spaces: nb201", 3, "spaces: unknown field"),
    (
        "unknown space",
        "space: nb201",
        "space: nb202",
        3,
        "unknown space 'nb202'; did you mean 'nb201'",
    ),
    ("space is a number", "space: nb201", "space: 3", 3, "space"),
    (
        "space with bad channels",
        "space: nb201",
        "space: {name: nb201, channels: 0}",
        3,
        "space.channels",
    ),
    ("no variants", V, "", 1, "variants"),
    ("empty variants", V, "variants: {}\n", 4, "variants"),
    ("variants is a list", V, "variants: [a, b]\n", 4, "variants"),
    ("variant is a string", "  a: {}", "  a: plain", 5, "variants.a"),
    ("unsafe label", "  a: {}", "  ../a: {}", 5, "no label"),
    ("hidden label", "  a: {}", "  .a: {}", 5, "no label"),
    ("unknown variant", "skip_dropout: {", "skip_droput: {", 7, "did you mean 'skip_dropout'"),
    ("rate too high", "rate: 0.3", "rate: 1.5", 7, "variants.b.skip_dropout.rate"),
    ("rate is text", "rate: 0.3", "rate: much", 7, "skip_dropout.rate"),
    ("rate is nan", "rate: 0.3", "rate: .nan", 7, "skip_dropout.rate"),
    ("unknown parameter", "rate: 0.3", "rat: 0.3", 7, "skip_dropout.rat: unknown field"),
    ("unknown schedule", "rate: 0.3", "schedule: cosine", 7, "skip_dropout.schedule"),
    ("parameters are a number", "{rate: 0.3}", "0.3", 7, "as a mapping"),
    ("unknown search field", "epochs: 7", "epoch: 7", 8, "search.epoch: unknown field"),
    ("no epochs", "epochs: 7", "epochs: 0", 8, "search.epochs"),
    ("epochs is text", "epochs: 7", "epochs: many", 8, "search.epochs"),
    ("search is a list", "search: {epochs: 7}", "search: [7]", 8, "search"),
    (
        "negative rate",
        "search: {epochs: 7}",
        "search:\n      weights: {lr: -1}",
        9,
        "search.weights.lr",
    ),
    ("unknown hypergradient", "search: {epochs: 7}", "hypergradient: reverze", 8, "hypergradient"),
    ("unknown instrument", "search: {epochs: 7}", "instruments: [cel]", 8, "instruments.0"),
    ("unknown data", "search: {epochs: 7}", "data: digit", 8, "did you mean 'digits'"),
    (
        "bad population",
        "search: {epochs: 7}",
        "ranking: {population: {kind: some}}",
        8,
        "ranking.population",
    ),
    ("threads", "search: {epochs: 7}", "threads: 0", 8, "threads"),
    ("duplicate key", "  a: {}", "  a: {}\n  a: {}", 6, "duplicate key"),
    ("anchor", "  a: {}", "  a: &x {}\n  c: *x", 6, "aliases"),
    ("python tag", "  a: {}", "  a: !!python/object/apply:os.system [ls]", 5, "tag"),
    ("tab", "  a: {}", "\ta: {}", 5, "not valid YAML"),
    ("unclosed", "rate: 0.3}", "rate: 0.3", 8, "not valid YAML"),
    ("two documents", "space: nb201", "---\nspace: nb201", 3, "not valid YAML"),
    ("deep", "  a: {}", "  a: " + "[" * 60, 5, "nested deeper"),
    ("a list as key", "  a: {}", "  [a, b]: {}", 5, "a key must be text"),
    ("control character", "Does it?", "Does\x01 it?", 1, "not valid YAML"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [case[1:] for case in MALFORMED],
    ids=[case[0] for case in MALFORMED],
)
def test_malformed_files_are_one_line_naming_file_line_and_field(tmp_path, old, new, line, says):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message and says in message, message
    assert message.startswith(f"{tmp_path / 'x.yaml'}:{line}: "), message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"profile": "qick"}, "unknown profile 'qick'"),
        ({"sets": ["search.epochs"]}, "--set search.epochs: expected key=value"),
        ({"sets": ["search.epochs=x"]}, "search.epochs"),
        ({"sets": ["serch.epochs=1"]}, "serch: unknown field"),
        ({"sets": ["search.epochs.x=1"]}, "search.epochs.x"),
        ({"sets": ["search.epochs=[1"]}, "search.epochs: input should be a valid integer"),
        ({"seeds": "0,0"}, "different numbers"),
        ({"seeds": "x"}, "a count or a list"),
        ({"seeds": "-1"}, "seeds"),
        ({"seeds": "1000000000"}, "seeds"),
    ],
)
def test_malformed_options_are_one_line(tmp_path, options, says):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD, **options)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_exits_with_2_and_one_line(tmp_path):
    path = write(tmp_path, GOOD.replace("rate: 0.3", "rate: 3"))
    for command in ("run", "plan"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bench",
                command,
                str(path),
                "--profile",
                str(PROFILES / "smoke.yaml"),
            ],
            capture_output=True,
            text=True,
            cwd=PROFILES.parents[1],
            timeout=120,
        )
        assert done.returncode == 2 and done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1 and "x.yaml:7" in done.stderr


def test_yaml_values_keep_their_lines():
    document = loads("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", Path("f"))
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert document.lines["a", "c", 1, "d"] == 5 and document.where(("a", "zz")) == "f:1"
