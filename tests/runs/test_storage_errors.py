"""What cannot be read or written stops a run and loses nothing: it is taken up again, to the bit."""

import errno
import os
import signal
import time

import pytest

from bench.contracts.executor import Outcome
from bench.executors.inline import Inline
from bench.runs import campaign as campaigns
from bench.runs import checkpoint, lock, store
from bench.runs.campaign import Campaign
from bench.runs.restore import restore
from bench.runs.run import execute
from tests.executors.common import numbers, same_bits, specs
from tests.stress.faults import Fault

SMALL = ("search.epochs=3", "ranking=null", "truth=null", "instruments=[cell]", "data.size=64")


def small(only=("darts",), seeds="1"):
    return specs(*SMALL, only=only, seeds=seeds)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run and the folder in which it ran undisturbed."""
    (run,) = small()
    folder = tmp_path_factory.mktemp("whole") / run.folder
    assert execute(run, folder) is Outcome.OK
    return run, folder


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(campaigns, "PAUSE", 0.01)


def begun(run, folder, epochs=1):
    """Leave the checkpoint of a run that was interrupted after some epochs."""

    def stop():
        return bool(store.read_progress(folder).get("epoch", 0) >= epochs)

    assert execute(run, folder, stop) is Outcome.INTERRUPTED
    return (folder / store.CHECKPOINT).read_bytes()


@pytest.mark.parametrize("operation", ["open", "read"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_checkpoint_that_cannot_be_read_is_kept(whole, tmp_path, operation, code):
    run, expected = whole
    folder = tmp_path / run.folder
    kept = begun(run, folder)
    with Fault(operation, store.CHECKPOINT, code).active() as fault:
        assert execute(run, folder) is Outcome.STORAGE and fault.hit == 1
    assert (folder / store.CHECKPOINT).read_bytes() == kept
    assert store.read_result(folder) is None
    assert os.strerror(code) in store.read_progress(folder)["error"]
    assert execute(run, folder) is Outcome.OK
    same_bits(folder, expected)


@pytest.mark.parametrize("operation", ["create", "sync", "rename"])
@pytest.mark.parametrize("name", [store.CHECKPOINT, store.RESULT, store.PROGRESS])
def test_a_write_error_costs_no_search_and_the_runs_after_it_go_on(
    whole, tmp_path, operation, name
):
    run, expected = whole
    folder = tmp_path / run.folder
    kept = begun(run, folder)
    others = small(only=["skip_dropout_0.3"])
    campaign = Campaign(tmp_path, [run, *others])
    fault = Fault(operation, name, errno.EIO, times=100, inside=run.folder)
    with fault.active():
        campaign.run(Inline(), interval=0.01)
    assert campaign.ended == {folder: Outcome.STORAGE, tmp_path / others[0].folder: Outcome.OK}
    assert fault.hit >= 1 + campaigns.RETRIES
    found = checkpoint.load(folder / store.CHECKPOINT, run.digest)
    assert found["epoch"] >= 1 and (name == store.RESULT or kept)
    again = Campaign(tmp_path, [run, *others])
    again.run(Inline(), interval=0.01)
    assert again.ended == {folder: Outcome.OK} and len(again.cached) == 1
    same_bits(folder, expected)


def test_a_passing_error_is_over_when_the_run_is_taken_up_again(whole, tmp_path):
    run, expected = whole
    campaign = Campaign(tmp_path, [run])
    with Fault("sync", store.CHECKPOINT, errno.EIO, first=1).active() as fault:
        campaign.run(Inline(), interval=0.01)
    assert fault.hit == 1 and campaign.ended == {tmp_path / run.folder: Outcome.OK}
    same_bits(tmp_path / run.folder, expected)


def test_a_result_that_cannot_be_read_is_not_made_again(whole, tmp_path):
    run, _ = whole
    folder = tmp_path / run.folder
    assert execute(run, folder) is Outcome.OK
    before = os.stat(folder / store.RESULT).st_mtime_ns
    campaign = Campaign(tmp_path, [run])
    with Fault("open", store.RESULT, errno.EIO).active() as fault:
        campaign.run(Inline(), interval=0.01)
    assert fault.hit == 1 and campaign.ended == {folder: Outcome.OK}
    assert os.stat(folder / store.RESULT).st_mtime_ns == before


def test_a_full_disk_stops_all_and_keeps_what_is_there(whole, tmp_path):
    run, _ = whole
    kept = begun(run, tmp_path / run.folder)
    campaign = Campaign(tmp_path, [run, *small(only=["skip_dropout_0.3"])])
    with Fault("sync", store.CHECKPOINT, errno.ENOSPC, times=99).active():
        campaign.run(Inline(), interval=0.01)
    assert campaign.full and campaign.ended == {tmp_path / run.folder: Outcome.DISK_FULL}
    assert (tmp_path / run.folder / store.CHECKPOINT).read_bytes() == kept


def test_out_of_memory_goes_on_from_the_checkpoint(whole, tmp_path, monkeypatch):
    run, expected = whole
    folder = tmp_path / run.folder
    kept = begun(run, folder)

    def none_left(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.torch, "load", none_left)
        assert execute(run, folder) is Outcome.OUT_OF_MEMORY
    assert (folder / store.CHECKPOINT).read_bytes() == kept
    campaign = Campaign(tmp_path, [run])
    seen = []

    def counted(*arguments):
        seen.append(1)
        restore(*arguments)

    monkeypatch.setattr("bench.runs.run.restore", counted)
    campaign.run(Inline(), interval=0.01)
    assert campaign.ended == {folder: Outcome.OK} and seen == [1]
    same_bits(folder, expected)


# --- two commands on one folder ----------------------------------------------------------------


def test_the_second_of_two_takes_the_first_s_failure_as_its_result(whole, tmp_path):
    run, _ = whole
    folder = tmp_path / run.folder
    failed = store.seal({"digest": run.digest, "status": "diverged", "history": []})
    executed = []

    class Second(Inline):
        def poll(self):
            if not executed:  # the first of the two ends meanwhile
                store.write_json(folder / store.RESULT, failed)
            executed.append(1)
            return super().poll()

    campaign = Campaign(tmp_path, [run])
    campaign.run(Second(), interval=0.01)
    assert campaign.ended == {folder: Outcome.DIVERGED}
    assert store.read_result(folder) == failed
    later = Campaign(tmp_path, [run])  # a command after that runs it again
    later.run(Inline(), interval=0.01)
    assert later.ended == {folder: Outcome.OK}


def test_a_folder_that_is_removed_while_it_is_waited_for_is_made_again(tmp_path):
    folder = tmp_path / "run"
    first = lock.hold(folder)
    assert first.__enter__()
    asked = []

    def removed():
        if not asked:
            os.replace(folder, tmp_path / "gone")
            first.__exit__(None, None, None)
        asked.append(1)
        return False

    with lock.hold(folder, removed) as mine:
        assert mine and lock.alive(folder) and not lock.alive(tmp_path / "gone")


def test_gc_deletes_no_folder_that_is_taken_up_meanwhile(whole, tmp_path):
    from bench.commands.gc import litter, remove

    run, _ = whole
    store.write_json(
        tmp_path / "ablation.json",
        {
            "question": "?",
            "contrast": {"metric": "tau", "of": "a", "against": "b"},
            "arms": [],
            "runs": [],
        },
    )
    folder = tmp_path / run.folder
    begun(run, folder)
    (item,) = litter(tmp_path, foreign=True)
    with lock.hold(folder):
        assert not remove(item) and (folder / store.CHECKPOINT).exists()
    manifest = {"question": "?", "contrast": {"metric": "tau", "of": "a", "against": "b"}}
    store.write_json(tmp_path / "ablation.json", manifest | {"arms": [], "runs": [run.folder]})
    assert not remove(item)  # it was planned meanwhile
    store.write_json(tmp_path / "ablation.json", manifest | {"arms": [], "runs": []})
    assert remove(item) and [p.name for p in tmp_path.iterdir()] == ["ablation.json"]


# --- clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_changes_no_duration_and_no_life(tmp_path, monkeypatch, jump):
    (run,) = small()
    folder, real, calls = tmp_path / run.folder, time.time, []

    def jumping():
        calls.append(1)
        return real() + (jump if len(calls) > 3 else 0)

    with monkeypatch.context() as patched:
        patched.setattr(time, "time", jumping)
        assert execute(run, folder) is Outcome.OK
    result = numbers_with_clocks(folder)
    assert all(0 <= value < 3000 for value in result), result
    with lock.hold(folder):
        os.utime(folder / lock.LOCK, (real() + jump,) * 2)
        assert lock.alive(folder)
    os.utime(folder / lock.LOCK, (real() + jump,) * 2)  # as if killed before the clock was set
    assert not lock.alive(folder)


def numbers_with_clocks(folder):
    result = store.read_result(folder)
    assert numbers(folder)
    return [result["seconds"], result["search_seconds"], store.read_progress(folder)["elapsed"]]


def test_a_dead_owner_on_this_machine_is_dead_at_once(tmp_path):
    pid = os.fork()
    if pid == 0:
        with lock.hold(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lock.silence(tmp_path) is not None and lock.silence(tmp_path) < 60
    assert not lock.alive(tmp_path)  # however fresh its heartbeat is
