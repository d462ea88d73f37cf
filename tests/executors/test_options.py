"""Executor options on the command line, and GPU slots on devices that are only named."""

import signal

import pytest

from bench.ablation.yamlfile import ConfigError
from bench.contracts.executor import Job, Outcome
from bench.executors._options import make, split
from bench.executors.processes import Processes
from tests.executors.common import specs


def test_assignments_go_to_whom_they_are_for():
    sets = ["search.epochs=5", "slurm.partition=gpu", "processes.jobs=2", "data.size=64"]
    assert split(sets) == (sets[1:3], [sets[0], sets[3]])


def test_slurm_takes_its_options():
    sets = ["slurm.partition=gpu", "slurm.time=1-02:30:00", "slurm.gpus=2", "slurm.pack=4"]
    sets += ["slurm.sbatch.mail-user=me", "search.epochs=5", "slurm.setup=[module load cuda]"]
    executor = make("slurm", 8, sets)
    assert (executor.partition, executor.gpus, executor.pack) == ("gpu", 2, 4)
    assert executor.time == 26 * 60 + 30 and executor.jobs == 8
    assert executor.sbatch == {"mail-user": "me"} and executor.setup == ("module load cuda",)
    assert make("slurm", None, ["slurm.time=4:00:00"]).time == 240  # not base sixty
    assert make("inline", 4).name == "inline"  # has no choice; the option is for those that have


@pytest.mark.parametrize(
    ("executor", "assignment", "says"),
    [
        ("slurm", "slurm.tme=3", "slurm.tme: unknown field; did you mean 'time'?"),
        ("slurm", "slurm.time=0", "slurm.time: input should be greater than or equal to 1"),
        ("slurm", "slurm.time=soon", "slurm.time"),
        ("slurm", "slurm.pack=[1", "slurm.pack: input should be a valid integer"),
        ("slurm", "slurm=3", "expected slurm.<field>=value"),
        ("slurm", "slurm.partition", "expected key=value"),
        ("slurm", "slurm.sbatch.x={a: 1}", "slurm.sbatch"),
        ("processes", "slurm.partition=gpu", "the executor is 'processes'; add --executor slurm"),
        ("processes", "processes.slots_per_gpu=0", "processes.slots_per_gpu"),
        ("inline", "inline.jobs=3", "inline.jobs: unknown field"),
    ],
)
def test_what_an_executor_does_not_take_is_one_line(executor, assignment, says):
    with pytest.raises(ConfigError) as caught:
        make(executor, None, [assignment])
    message = str(caught.value)
    assert message.startswith(f"--set {assignment}:") and says in message and "\n" not in message


def test_an_unknown_executor_is_one_line():
    with pytest.raises(ConfigError, match=r"--executor slrm: .*did you mean 'slurm'"):
        make("slrm")


class Fake:
    """A process that is at work until told otherwise."""

    def __init__(self):
        self.exitcode, self.pid, self.sentinel = None, None, 0

    def join(self, timeout):
        pass


def test_small_runs_share_gpus_evenly_and_no_more_than_there_are_slots(tmp_path, monkeypatch):
    (run,) = specs()
    settings = run.settings.model_copy(update={"device": "cuda"})
    jobs = [
        Job(spec=run.model_copy(update={"seed": n, "settings": settings}), folder=tmp_path / str(n))
        for n in range(7)
    ]
    given = []

    def spawn(self, job, device):
        given.append(device)
        return Fake()

    monkeypatch.setattr(Processes, "_spawn", spawn)
    pool = Processes(gpus=("0", "3"), slots_per_gpu=2)
    pool.submit(jobs)
    assert given == ["0", "3", "0", "3"] and pool.active == 7
    ended, (process, device) = list(pool._running.items())[1]
    process.exitcode = 130
    assert pool.poll() == {ended: "interrupted"}
    assert device == "3" and given[4:] == ["3"]  # the slot that came free, not another
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8a")
    given.clear()
    Processes(jobs=1).submit(jobs)
    Processes().submit(jobs)
    assert given == ["5", "5", "GPU-8a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ValueError, match="no CUDA device is visible"):
        Processes().submit(jobs)


def test_a_worker_sees_the_device_that_it_was_given(tmp_path, monkeypatch):
    from bench.runs import store
    from bench.runs.worker import run_folder, stopping

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "all of them")
    seen = []

    def execute(spec, folder, asked_to_stop):
        import os

        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        return Outcome.OK

    before = {n: signal.getsignal(n) for n in stopping()}
    monkeypatch.setattr("bench.runs.run.execute", execute)
    (run,) = specs()
    store.write_spec(tmp_path, run)
    try:
        with pytest.raises(SystemExit) as ended:
            run_folder(str(tmp_path), {"CUDA_VISIBLE_DEVICES": "3"})
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert seen == ["3"] and ended.value.code == 0
