"""The manifest is the union of what one ablation planned in a folder, and says when it was asked."""

import json
import multiprocessing

import pytest

from bench.ablation.file import read_ablation
from bench.commands.retry import planned
from bench.report.summary import Summary
from bench.runs import lock, manifest, store
from bench.runs import record as recording
from bench.runs.spec import plan
from bench.runs.status import runs
from tests.executors.common import FILE, ROOT

SMOKE = str(ROOT / "ablations/profiles/smoke.yaml")


def ablation(*sets, seeds="3", file=FILE):
    return read_ablation(file, SMOKE, list(sets), seeds)


def record(root, *only, asked=None, command="bench run"):
    asked = asked or ablation()
    return recording.record(asked, plan(asked, only), root, command)


def finish(root, *names):
    """Give runs a result, as if they had been run."""
    for name in names:
        label, _, rest = name.partition("-seed")
        result = {"label": label, "seed": int(rest[0]), "digest": name.rpartition("-")[2]}
        result |= {"status": "ok", "skip_count": 1, "history": [], "stopped": None}
        store.write_json(root / name / store.RESULT, store.seal(result))


def changed_file(tmp_path, old, new, name="skip_dropout.yaml"):
    path = tmp_path / "changed" / name
    path.parent.mkdir(exist_ok=True)
    text = FILE.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_what_two_commands_planned_is_all_there(tmp_path):
    record(tmp_path, "darts", command="bench run --only darts")
    first = set(manifest.read_manifest(tmp_path)["runs"])
    finish(tmp_path, *first)
    assert record(tmp_path, "skip_dropout_0.3", command="bench run --only skip") == []
    both = manifest.read_manifest(tmp_path)
    assert first < set(both["runs"]) and len(both["runs"]) == 6
    assert both["commands"] == ["bench run --only darts", "bench run --only skip"]
    record(tmp_path, asked=ablation(seeds="1"))  # fewer seeds, all variants: nothing is lost
    assert set(both["runs"]) < set(manifest.read_manifest(tmp_path)["runs"])
    summary = Summary.read(tmp_path)
    assert (summary.runs["status"] == "ok").sum() == 3 and summary.foreign == 0
    assert {state.folder for state in runs(tmp_path)} == set(summary.runs["folder"])
    assert {spec.folder for spec in planned(tmp_path)} == set(summary.runs["folder"])


def _record_seed(root, seed, barrier):
    barrier.wait(60)
    asked = ablation(seeds=f"{seed},{seed + 100}")
    recording.record(asked, plan(asked, ["darts"]), root, f"command {seed}")


def test_six_commands_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    writers = [context.Process(target=_record_seed, args=(tmp_path, n, barrier)) for n in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(100)
        assert writer.exitcode == 0
    found = manifest.read_manifest(tmp_path)
    assert len(found["runs"]) == 12 and len(found["commands"]) == 6
    assert found["seeds"] == sorted([*range(6), *range(100, 106)])


def test_another_ablation_is_refused(tmp_path):
    record(tmp_path / "out", "darts")
    other = ablation(file=changed_file(tmp_path, "question:", "question:", "other.yaml"))
    with pytest.raises(ValueError, match="holds the 3 runs of 'skip_dropout'") as caught:
        record(tmp_path / "out", asked=other)
    assert "\n" not in str(caught.value)
    assert len(manifest.read_manifest(tmp_path / "out")["runs"]) == 3


def test_other_settings_take_the_variant_s_place_unless_its_runs_are_at_work(tmp_path):
    record(tmp_path, "darts")
    old = manifest.read_manifest(tmp_path)["runs"]
    longer = ablation("search.epochs=7")
    with lock.hold(tmp_path / old[0]), pytest.raises(ValueError, match="is at work there"):
        record(tmp_path, "darts", asked=longer)
    assert manifest.read_manifest(tmp_path)["runs"] == old
    assert record(tmp_path, "darts", asked=longer) == old
    found = manifest.read_manifest(tmp_path)
    assert len(found["runs"]) == 3 and not set(found["runs"]) & set(old)


def test_a_contrast_that_is_stated_first_and_stays_was_stated_before_the_runs(tmp_path):
    record(tmp_path)
    text, before = manifest.statement(manifest.read_manifest(tmp_path))
    assert before and text.endswith("before the runs") and "UTC" in text
    finish(tmp_path, *manifest.read_manifest(tmp_path)["runs"])
    record(tmp_path)
    assert Summary.read(tmp_path).stated.endswith("before the runs")
    assert Summary.read(tmp_path).changed == ""


def test_a_contrast_that_is_changed_when_results_are_known_is_shown_as_such(tmp_path):
    out = tmp_path / "out"
    record(out)
    finish(out, *manifest.read_manifest(out)["runs"][:5])
    record(out, asked=ablation(file=changed_file(tmp_path, "expect: higher", "expect: lower")))
    summary = Summary.read(out)
    assert "when 5 runs had finished; at first it was true_accuracy of" in summary.stated
    assert "expected: higher" in summary.stated and "exploratory" in summary.changed
    # Changed back: it was changed all the same.
    record(out)
    assert Summary.read(out).changed


def test_a_change_before_any_result_is_none(tmp_path):
    out = tmp_path / "out"
    record(out)
    record(out, asked=ablation(file=changed_file(tmp_path, "expect: higher", "expect: lower")))
    assert Summary.read(out).stated.endswith("before the runs")


def test_a_manifest_that_was_deleted_does_not_make_results_unknown(tmp_path):
    record(tmp_path)
    names = manifest.read_manifest(tmp_path)["runs"]
    for spec in plan(ablation()):
        store.write_spec(tmp_path / spec.folder, spec)
    finish(tmp_path, *names)
    (tmp_path / manifest.MANIFEST).unlink()
    record(tmp_path, "darts")
    assert set(manifest.read_manifest(tmp_path)["runs"]) == set(names)
    assert f"when {len(names)} runs had already finished" in Summary.read(tmp_path).stated


def test_a_manifest_that_was_edited_is_refused_and_made_anew(tmp_path):
    record(tmp_path)
    for spec in plan(ablation()):
        store.write_spec(tmp_path / spec.folder, spec)
    path = tmp_path / manifest.MANIFEST
    names = manifest.read_manifest(tmp_path)["runs"]
    path.write_text(path.read_text().replace('"expect": "higher"', '"expect": "lower"'))
    with pytest.raises(ValueError, match="was changed since it was written"):
        manifest.read_manifest(tmp_path)
    record(tmp_path, "darts")
    assert set(manifest.read_manifest(tmp_path)["runs"]) == set(names)
    assert Summary.read(tmp_path).stated == "when it was stated is not known"


def test_a_manifest_of_an_older_version_is_read(tmp_path):
    record(tmp_path)
    old = json.loads((tmp_path / manifest.MANIFEST).read_text())
    for key in ("checksum", "stated", "changes", "commands"):
        del old[key]
    (tmp_path / manifest.MANIFEST).write_text(json.dumps(old))
    assert Summary.read(tmp_path).stated == "when it was stated is not known"
    record(tmp_path, "darts")
    assert manifest.read_manifest(tmp_path)["runs"] == old["runs"]


def test_runs_stand_by_seed_and_within_a_seed_as_their_variants_are_stated():
    from bench.runs.shapes import in_order, label_and_seed

    names = ["b-seed10-0a", "a-seed2-0a", "x-seed3-seed2-0b", "b-seed2-0a", "a-seed10-0a"]
    assert in_order(names, ["b", "a"]) == [
        "b-seed2-0a",
        "a-seed2-0a",
        "x-seed3-seed2-0b",
        "b-seed10-0a",
        "a-seed10-0a",
    ]
    assert label_and_seed("x-seed3-seed2-0b") == ("x-seed3", 2)
    assert label_and_seed("none") == ("none", 0)
