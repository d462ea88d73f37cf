"""The store under attack: errors of the system, commands at random, kills and clocks, by a seed.

    pytest -m stress tests/stress --stress-seed 1 -s

Whatever happens, nothing that was finished is lost, no sound checkpoint goes, and in the end all is
there with the numbers of an undisturbed run.
"""

import copy
import errno
import os
import random
import signal
import time

import pytest
import torch

from bench.contracts.executor import Outcome
from bench.executors.inline import Inline
from bench.runs import campaign as campaigns
from bench.runs import checkpoint, lock, manifest, store
from bench.runs.campaign import Campaign
from bench.runs.fit import MisfitError
from bench.runs.provenance import known_legs
from bench.runs.restore import restore
from bench.runs.run import execute
from bench.search.setup import build, initial_state
from tests.executors.common import FILE, bench, numbers, same_bits, specs
from tests.stress.faults import READS, WRITES, Fault

pytestmark = pytest.mark.stress

SMALL = ("search.epochs=3", "ranking=null", "truth=null", "instruments=[cell]", "data.size=64")
CODES = (
    errno.EIO,
    errno.EACCES,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EROFS,
    errno.ETIMEDOUT,
    errno.EINTR,
    errno.ENOSPC,
    errno.EDQUOT,
)
WRITTEN = (store.SPEC, store.PROGRESS, store.CHECKPOINT, store.RESULT)
READ = (store.SPEC, store.PROGRESS, store.CHECKPOINT, store.RESULT)


@pytest.fixture
def draw(request):
    """Return the stress suite's source of chance."""
    return random.Random(request.config.getoption("--stress-seed"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run and the folder in which it ran undisturbed."""
    (run,) = specs(*SMALL)
    folder = tmp_path_factory.mktemp("whole") / run.folder
    assert execute(run, folder) is Outcome.OK
    return run, folder


def begun(run, folder):
    """Leave the checkpoint of a run that was interrupted after an epoch."""

    def stop():
        return bool(store.read_progress(folder).get("epoch", 0) >= 1)

    assert execute(run, folder, stop) is Outcome.INTERRUPTED


def test_an_error_at_each_write_and_read_of_each_artefact(whole, tmp_path, draw, monkeypatch):
    monkeypatch.setattr(campaigns, "PAUSE", 0.0)
    run, expected = whole
    places = [(o, n) for o in WRITES for n in WRITTEN] + [(o, n) for o in READS for n in READ]
    ends = dict.fromkeys(Outcome, 0)
    hits = 0
    for number, (operation, name) in enumerate(places):
        root = tmp_path / str(number)
        folder = root / run.folder
        begun(run, folder)
        before = checkpoint.load(folder / store.CHECKPOINT, run.digest)["step"]
        code, times = draw.choice(CODES), draw.choice((1, 2, 50))
        fault = Fault(operation, name, code, first=draw.randrange(3), times=times)
        campaign = Campaign(root, [run])
        with fault.active():
            campaign.run(Inline(), interval=0.0)
        hits += fault.hit
        (outcome,) = campaign.ended.values()
        ends[outcome] += 1
        assert outcome in (Outcome.OK, Outcome.STORAGE, Outcome.DISK_FULL), (operation, name, code)
        assert checkpoint.load(folder / store.CHECKPOINT, run.digest)["step"] >= before
        assert not (folder / store.REFUSED).exists()
        again = Campaign(root, [run])
        again.run(Inline(), interval=0.0)
        assert store.done(folder), (operation, name, code)
        same_bits(folder, expected)
        assert not list(folder.glob(".*.*.*")), "a temporary file is left"
    found = ", ".join(f"{n} {outcome}" for outcome, n in ends.items() if n)
    print(f"\nerrno: {len(places)} places, {hits} errors: {found}; 0 checkpoints lost, same bits")


def test_checkpoints_changed_at_random_are_refused_or_are_the_same(whole, draw):
    run, folder = whole
    setup = build(run.settings, run.variants, run.seed)
    sound = checkpoint.load(folder / store.CHECKPOINT, run.digest)
    refused = used = 0
    for _ in range(200):
        saved = copy.deepcopy(sound)
        what = mutate(saved, draw)
        try:
            state = initial_state(setup)
            restore(setup, state, saved)
            known_legs(saved)  # as whoever resumes a run does
        except MisfitError:
            refused += 1
            continue
        used += 1  # then it must mean the same: all that a search goes on from is as it was
        alike(state.to_dict(), sound, what)
    print(f"\ncheckpoints: 200 changed, {refused} refused, {used} used and the same in effect")
    assert refused > 100


def mutate(saved, draw):
    """Change the shape, type, name or setting of one thing at random; return which."""
    way, here = [], saved
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw.choice(keys)
        way.append(key)
        value = here[key]
        if isinstance(value, dict | list) and len(value) and draw.random() < 0.9:
            here = value
            continue
        break
    choices = [lambda v: None, lambda v: "text", lambda v: [v], lambda v: {"x": v}]
    if isinstance(value, torch.Tensor):
        choices = [
            lambda v: v.double(),
            lambda v: v.half(),
            lambda v: v.reshape(-1),
            lambda v: v[None],
            lambda v: v.long(),
            lambda v: v * float("nan"),
            lambda v: v.tolist(),
        ]
    elif isinstance(value, bool):
        choices.append(lambda v: not v)
    elif isinstance(value, int | float):
        choices += [lambda v: v + 1, lambda v: -v - 1, lambda v: float("nan"), str]
    if "history" in way[:1] and not isinstance(value, list | dict):
        choices = (
            [lambda v: "text"] if way[-1] == "epoch" else [lambda v: v]
        )  # its numbers are data
    if draw.random() < 0.15 and isinstance(here, dict):
        del here[key]
    else:
        here[key] = draw.choice(choices)(value)
    return way


def alike(found, expected, what):
    """Check that two states are the same in all that a search goes on from."""
    for part in ("supernet", "architecture"):
        for name, value in expected[part].items():
            assert torch.equal(found[part][name], value), what
    for name in ("step", "epoch", "running", "stopped", "compiled", "memory"):
        assert found[name] == expected[name], what
    for part in ("weight_optimizer", "architecture_optimizer"):
        for one, other in zip(
            found[part]["param_groups"], expected[part]["param_groups"], strict=True
        ):
            for key in ("lr", "weight_decay", "momentum", "betas", "eps", "nesterov"):
                assert one.get(key) == other.get(key), what


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0, -10 * 86_400.0])
def test_clocks_that_jump_change_no_number_and_no_life(whole, tmp_path, draw, monkeypatch, jump):
    run, expected = whole
    folder, real, calls = tmp_path / run.folder, time.time, []
    first = draw.randrange(12)

    def jumping():
        calls.append(1)
        return real() + (jump if len(calls) > first else 0.0)

    monkeypatch.setattr(time, "time", jumping)
    begun(run, folder)
    assert execute(run, folder) is Outcome.OK
    result = store.read_result(folder)
    assert 0 <= result["seconds"] < 3000 and 0 <= result["search_seconds"] < 3000
    same_bits(folder, expected)
    assert not lock.alive(folder)


LABELS = ("darts", "skip_dropout_0.3")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL, None, None)


def test_two_to_six_commands_at_random_on_one_folder(tmp_path, draw):
    sets = [word for text in SMALL for word in ("--set", text)]
    planned, sent, codes = set(), [], []
    count = draw.randint(2, 6)
    processes, sent_to = [], {}
    for _ in range(count):
        labels = draw.sample(LABELS, draw.randint(1, 2))
        seeds = ",".join(map(str, sorted(draw.sample(range(3), draw.randint(1, 2)))))
        planned |= {(label, int(seed)) for label in labels for seed in seeds.split(",")}
        only = [word for label in labels for word in ("--only", label)]
        seeds = seeds if "," in seeds else f"{seeds},"
        words = ("run", FILE, "-p", "smoke", *only, "--seeds", seeds, "-o", tmp_path, "--jobs", 1)
        processes.append((bench(*words, *sets), words))
        time.sleep(draw.uniform(0, 3))
    for process, _ in processes:
        number = draw.choice(SIGNALS)
        time.sleep(draw.uniform(0, 6))
        if number is not None and process.poll() is None:
            sent.append(number.name)
            sent_to[process] = number
            if number == signal.SIGKILL or draw.random() < 0.5:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
    errors = []
    for process, _ in processes:
        _, err = process.communicate(timeout=900)
        codes.append(process.returncode)
        errors.append(err)
        # A signal that comes while it still loads its modules ends it as it ends any program.
        own = {-int(sent_to[process])} if process in sent_to else set()
        assert process.returncode in {0, 130} | own, (process.returncode, err)
        assert "Traceback" not in err, err
    for _, words in processes:  # each command again: what is not done goes on
        process = bench(*words, *sets)
        _, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
    named = {tuple(n.rpartition("-")[0].rsplit("-seed", 1)) for n in runs_of(tmp_path)}
    assert named == {(label, str(seed)) for label, seed in planned}
    expected = specs(*SMALL, only=LABELS, seeds="3")
    for run in expected:
        if (run.label, run.seed) in planned:
            alone = tmp_path.parent / "alone" / run.folder
            assert execute(run, alone) is Outcome.OK
            assert numbers(tmp_path / run.folder) == numbers(alone)
            assert not (tmp_path / run.folder / store.REFUSED).exists()
    print(
        f"\ncommands: {count} at once, signals {', '.join(sent) or 'none'}, exit {codes}; all "
        f"{len(planned)} runs that any of them planned are there, with the numbers of one alone"
    )


def runs_of(root):
    return manifest.read_manifest(root)["runs"]
