"""Seeds until it is decided: what is run next, what counts, when it ends; with runs that are made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import PrivateAttr

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.contracts.executor import Executor, Job
from bench.decision.budget import Until, read
from bench.decision.growth import Growth
from bench.decision.sequential import Question
from bench.runs import store
from bench.runs.campaign import Campaign
from bench.runs.spec import RunSpec, plan

ROOT = Path(__file__).parents[2]
FILE, SMOKE = ROOT / "ablations/skip_dropout.yaml", str(ROOT / "ablations/profiles/smoke.yaml")
OF, AGAINST = "skip_dropout_0.3", "darts"
ARMS = (AGAINST, OF, "uniform_sampling")


class Made(Executor):
    """Ends two jobs a poll with a made-up result, the last submitted first."""

    at_a_time: int = 4
    _jobs: list[Job] = PrivateAttr(default_factory=list)
    _stop: bool = PrivateAttr(default=False)
    _make: Callable[[RunSpec], dict[str, object]] = PrivateAttr()
    ran: list[tuple[str, int]] = []  # noqa: RUF012 - pydantic copies it

    def submit(self, jobs: Sequence[Job]) -> None:
        self._jobs.extend(jobs)

    def slots(self, job: Job) -> int:
        return self.at_a_time

    def poll(self) -> dict[Path, str]:
        if self._stop:
            stopped = {job.folder: "interrupted" for job in self._jobs}
            self._jobs.clear()
            return stopped
        ended = {}
        for _ in range(min(2, len(self._jobs))):
            job = self._jobs.pop()
            result = {"digest": job.spec.digest, "seconds": 10.0, **self._make(job.spec)}
            store.write_spec(job.folder, job.spec)
            store.write_json(job.folder / store.RESULT, store.seal(result))
            self.ran.append((job.spec.label, job.spec.seed))
            ended[job.folder] = str(result["status"])
        return ended

    def cancel(self) -> None:
        self._stop = True

    def wait(self, seconds: float) -> None:
        pass

    @property
    def active(self) -> int:
        return len(self._jobs)


def ok(skips: float) -> dict[str, object]:
    return {"status": "ok", "skip_count": skips}


def specs(until: str = "30", only: Sequence[str] = ARMS) -> tuple[list[RunSpec], Until]:
    ablation = read_ablation(FILE, SMOKE, until=until)
    assert ablation.until is not None
    return plan(ablation, only), ablation.until


def campaign(
    root: Path,
    make: Callable[[RunSpec], dict[str, object]],
    until: str = "30",
    question: Question | None = None,
    at_a_time: int = 4,
) -> tuple[Growth, Campaign, Made]:
    from bench.report.rows import value

    every, limits = specs(until)
    made = Campaign(root, [])
    executor = Made(at_a_time=at_a_time)
    executor._make = make

    def worth(spec: RunSpec) -> float | None:
        folder = made.folder(spec)
        ended = folder in made.ended or folder in made.cached
        return value(folder, "skip_count") if ended else None

    growth = Growth(
        every, OF, AGAINST, question or Question(), limits, worth, lambda spec: 10.0, at_a_time
    )
    made.run(executor, growth=growth, interval=0)
    return growth, made, executor


def test_it_ends_when_the_contrast_is_decided(tmp_path: Path) -> None:
    growth, made, executor = campaign(tmp_path, lambda spec: ok(6 if spec.label == AGAINST else 0))
    assert growth.decision().kind == "lower" and growth.decision().at == 6
    assert made.enough and not made.interrupted
    # Two more pairs may have been under way on four slots; no more.
    assert max(seed for _, seed in executor.ran) <= 6 + 5


def test_nothing_is_run_again_and_the_decision_is_the_same(tmp_path: Path) -> None:
    def make(spec: RunSpec) -> dict[str, object]:
        return ok(6 if spec.label == AGAINST else 0)

    first, _, _ = campaign(tmp_path, make)
    again, made, executor = campaign(tmp_path, make)
    assert not executor.ran and made.cached
    assert again.decision().at == first.decision().at


def test_a_decided_arm_stops_and_the_contrast_goes_on(tmp_path: Path) -> None:
    def make(spec: RunSpec) -> dict[str, object]:
        worse = spec.seed % 4 != 0  # three of four
        return ok({AGAINST: 3, OF: 1 if worse else 5}.get(spec.label, 0))

    growth, _, executor = campaign(tmp_path, make, until="60")
    of = [seed for label, seed in executor.ran if label == OF]
    other = [seed for label, seed in executor.ran if label == "uniform_sampling"]
    assert growth.decision("uniform_sampling").at == 6
    assert len(of) > 20 and max(other) <= 6 + 5


def test_what_ends_sooner_does_not_count_first(tmp_path: Path) -> None:
    """Seeds above 0 end at once, all lower; without seed 0 nothing may be concluded."""
    every, until = specs("12", (AGAINST, OF))
    growth = Growth(
        every,
        OF,
        AGAINST,
        Question(),
        until,
        lambda spec: None if spec.seed == 0 else 6.0 if spec.label == AGAINST else 0.0,
    )
    assert growth.differences(OF) == [] and not growth.over
    growth = Growth(
        every, OF, AGAINST, Question(), until, lambda spec: 6.0 if spec.label == AGAINST else 0.0
    )
    assert growth.over


def test_a_failed_pair_is_passed_over_and_counted(tmp_path: Path) -> None:
    def make(spec: RunSpec) -> dict[str, object]:
        if spec.seed == 2 and spec.label == OF:
            return {"status": "diverged", "error": "nan"}
        return ok(6 if spec.label == AGAINST else 0)

    growth, _, _ = campaign(tmp_path, make)
    assert growth.lost == 1 and growth.decision().at == 6


def test_a_campaign_in_which_everything_fails_ends(tmp_path: Path) -> None:
    growth, _, executor = campaign(tmp_path, lambda spec: {"status": "diverged", "error": "nan"})
    assert growth.hopeless and len(executor.ran) <= 3 * (6 + 5)


def test_seeds_are_a_budget(tmp_path: Path) -> None:
    growth, made, executor = campaign(tmp_path, lambda spec: ok(spec.seed % 2), until="7")
    assert not growth.decision().decided and not made.enough
    assert {seed for _, seed in executor.ran} == set(range(7))
    assert "out of reach" in growth.status


def test_an_effect_gets_the_pairs_that_it_wants_also_when_it_is_decided() -> None:
    every, _ = specs("20")
    until = Until(most=20, least=10)
    ended = 0

    def value(spec: RunSpec) -> float | None:
        return None if spec.seed >= ended else 6.0 if spec.label == AGAINST else 0.0

    growth = Growth(every, OF, AGAINST, Question(), until, value)
    for ended in range(1, 11):
        assert bool(growth.next()) == (ended < 10)
        assert growth.over == (ended >= 10)
    assert growth.decision().at == 6 and growth.decision().pairs == 10 and not growth.next()
    growth.until = Until(most=20, least=10, budget=1e-9)
    ended = 7
    assert growth.over  # the time is spent


def test_other_arms_get_as_many_seeds_as_the_profile_gives_them(tmp_path: Path) -> None:
    every, _ = specs("8")
    growth = Growth(
        every, OF, AGAINST, Question(), Until(most=8, others=2), lambda spec: None, side_by_side=9
    )
    ran = [(spec.label, spec.seed) for _ in range(5) for spec in growth.next()]
    assert [seed for label, seed in ran if label == OF] == [0, 1, 2, 3, 4]
    assert [seed for label, seed in ran if label not in (OF, AGAINST)] == [0, 1]


def test_an_arm_alone_gets_a_fixed_number_of_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    from bench.ablation.file import read_ablation
    from bench.commands.run import narrow

    asked = read_ablation(Path("ablations/skip_dropout.yaml"), "smoke", until="5")
    asked = replace(asked, until=Until(most=5, least=3))
    assert narrow(asked, None) is asked and narrow(asked, [OF, AGAINST]) is asked
    alone = narrow(asked, [OF])
    assert alone.until is None and alone.seeds == (0, 1, 2)
    assert "nothing can be decided: 3 seeds" in capsys.readouterr().err
    assert narrow(asked, [OF], asked=True) is asked
    share = narrow(asked, None, shard="1/4")  # every machine has the same seeds
    assert share.until is None and share.seeds == (0, 1, 2)
    assert "--shard runs a share" in capsys.readouterr().err


def test_what_is_not_decided_ends_with_the_command_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.commands.run import longer

    every, _ = specs("20")
    values = {(label, seed): float(label == OF and seed) for label in ARMS for seed in range(3)}
    growth = Growth(
        every,
        OF,
        AGAINST,
        Question(),
        Until(most=20, others=0),
        lambda spec: values.get((spec.label, spec.seed)),
        lambda spec: 60.0,
        side_by_side=2,
    )
    assert len(growth.differences(OF)) == 3
    monkeypatch.setattr("sys.argv", ["bench", "run", "my x.yaml", "--budget", "5m", "--budget=1m"])
    assert longer(growth, 5) == "python -m bench run 'my x.yaml' --budget 6m"
    assert longer(growth, None) == longer(growth, 0) == ""


def test_time_is_a_budget_and_no_run_begins_that_would_not_end_in_it() -> None:
    every, until = specs("5m")
    values: dict[tuple[str, int], float] = {}
    growth = Growth(
        every,
        OF,
        AGAINST,
        Question(),
        until,
        lambda spec: values.get((spec.label, spec.seed)),
        lambda spec: 200.0,
    )
    assert growth.next()  # nothing is known of the time yet
    values |= {(label, 0): 0.0 for label in ARMS}
    assert growth.differences(OF) == [0.0]
    assert growth.pair_seconds() == 400 + 0  # the third arm was not looked at yet
    assert growth.next() == []  # 400 s would not do
    growth.side_by_side = 4
    assert growth.next()
    growth.until = Until(budget=1e-9)
    assert growth.over


def test_the_contrast_must_be_run() -> None:
    every, until = specs(only=(OF,))
    with pytest.raises(ValueError, match="'darts'"):
        Growth(every, OF, AGAINST, Question(), until, lambda spec: math.nan)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("5m", (64, 300.0)),
        ("40", (40, None)),
        ("40 seeds,90s", (40, 90.0)),
        ("2h, 10", (10, 7200.0)),
    ],
)
def test_budgets(said: str, expected: tuple[int, float | None]) -> None:
    found = Until().within(said)
    assert (found.most, found.budget) == expected


@pytest.mark.parametrize("said", ["soon", "5 parsecs", "", "0", "1001", "-3"])
def test_budgets_that_are_none(said: str) -> None:
    with pytest.raises(ConfigError, match="--budget"):
        Until().within(said)


def test_seeds_in_a_file() -> None:
    assert read(3, "f:1") == ((0, 1, 2), None)
    assert read([0, 7], "f:1", offset=100) == ((100, 107), None)
    seeds, until = read({"until": "decided", "most": 5, "budget": "5m"}, "f:1")
    assert seeds == tuple(range(5)) and until == Until(most=5, budget=300)
    for wrong, field in (
        ({"until": "tired"}, "seeds.until"),
        ({"until": "decided", "budget": "long"}, "seeds.budget"),
        ({"mots": 3}, "seeds.mots"),
        ("x", "seeds"),
    ):
        with pytest.raises(ConfigError, match=f"f:1: {field}"):
            read(wrong, "f:1")


def test_fixed_seeds_stay_fixed() -> None:
    assert read_ablation(FILE, SMOKE, seeds="5").until is None
    assert read_ablation(FILE, SMOKE, ["seeds={until: decided, most: 9}"]).until is not None
    assert read_ablation(FILE, SMOKE, ["seeds={until: decided}"], seeds="5").until is None
