"""What costs most when masked; intervals of five epochs; two edges of a node by removal."""

import math
from dataclasses import replace
from types import SimpleNamespace

from tests.golden.harness import DARTS, NB201, searching

SOURCE = (
    "DARTS-PT, nasbench201/projection.py and sota/cnn/projection.py (project_op: accuracy without the "
    "operation; one edge of the normal and one of the reduction cell, then a node of each, every 5 epochs; "
    "project_edge: the edge whose masking costs least leaves, of equals the last; batches are of this suite"
)


def play(rule, space, worth=None, importance=None, seen=None):
    """Return the decisions and tunings in order, with a scripted criterion in place of images.

    ``seen`` takes what each decision was made in: the edges decided before, and how it is tuned.
    """
    told = []
    kind = type(rule)
    kept = {name: kind.__dict__.get(name) for name in ("strongest", "importance", "_tune")}

    def strongest(self, stage, state, edge, left):
        projected, weights = stage.composition.variants[-1], stage.settings.search.weights
        if seen is not None:
            seen.append((sorted(projected.decided), projected.learns, weights.lr, weights.lr_min))
        told.append(edge)
        return left[0]

    kind.strongest = strongest

    def judge(self, setup, stage, state, edge, operation):
        told.append(("judged", edge))
        return (importance or {}).get(edge, float(-edge)), 0.0

    kind.importance = judge
    kind._tune = lambda self, stage, tuned: told.append("tune")
    try:
        from bench.contracts import registry
        from bench.search.settings import Settings
        from bench.search.setup import build, initial_state

        settings = Settings.model_validate(
            {
                "space": registry.dump(space),
                "data": {"name": "digits", "size": 32},
                "device": "cpu",
                "ranking": None,
                "kernel": "torch",
                "search": {"epochs": 1, "batch": 16},
            }
        )
        setup = build(settings, [], 0)
        cell = rule.select(setup, initial_state(setup))
    finally:
        for name, method in kept.items():
            if method is None:
                delattr(kind, name)
            else:
                setattr(kind, name, method)
    return cell, told


def table(make):
    for name, learns in (("paper", True), ("fixed_alpha", False), (None, True)):
        rule = make(name) if name else make()
        found = (rule.epochs, rule.lr, rule.learn_alpha, rule.masks_removed, rule.batch)
        yield f"{name}: epochs, rate, α, removed, batch", found, (5, 0.0025, learns, False, 500)
    _, told = play(make("paper"), NB201)
    yield "NB201: every edge once, tuning between", told[1::2], ["tune"] * 5
    yield "NB201: in random order", sorted(told[::2]), [*range(6)]
    for name, learns in (("paper", True), ("fixed_alpha", False)):
        seen = []
        _, told = play(make(name), NB201, seen=seen)
        before = [(sorted(told[:i:2]), learns, 0.0025, 0.0025) for i in range(0, len(told), 2)]
        yield (
            f"{name}: an edge is judged with those decided before it, at a constant rate",
            seen,
            before,
        )
    cell, told = play(make("paper"), DARTS)
    operations = told[: 14 * 3]
    yield (
        "DARTS: a normal and a reduction edge, then tuning",
        [
            (a < 14, b >= 14, c)
            for a, b, c in zip(operations[::3], operations[1::3], operations[2::3], strict=True)
        ],
        [(True, True, "tune")] * 14,
    )
    rest = told[14 * 3 :]
    yield "DARTS: then three intervals of nodes", rest.count("tune"), 2
    judged = [edge for item in rest if item != "tune" for _, edge in [item]]
    # Nodes of 3, 4 and 5 inputs, judged 3, 4 + 3 and 5 + 4 + 3 times, in both cells.
    yield "DARTS: judged again after every removal", len(judged), 2 * (3 + 7 + 12)
    # The scripted importance falls along the edges: the first two of every node stay.
    kept = [e for e, o in enumerate(cell) if o >= 0]
    yield (
        "DARTS: edges that stay",
        kept,
        [
            0,
            1,
            2,
            3,
            5,
            6,
            9,
            10,
            14,
            15,
            16,
            17,
            19,
            20,
            23,
            24,
        ],
    )
    cell, _ = play(make("paper"), DARTS, importance=dict.fromkeys(range(28), 1.0))
    yield "DARTS: of equals the last leave", [e for e, o in enumerate(cell) if o >= 0], kept
    yield "DARTS: none is never decided", {o for o in cell if o >= 0}, {1}
    yield from staged(make)
    yield from masked(make)


def staged(make):
    """Which epoch's schedules hold, how long is tuned, and who is masked while a node is judged."""
    import bench.search.loop as loop

    rule = make("paper", epochs=3)
    kind, seen = type(rule), []
    kept = {name: kind.__dict__.get(name) for name in ("strongest", "importance", "_tune")}
    kind.strongest = lambda self, stage, state, edge, left: (seen.append(state.epoch), left[0])[1]
    kind._tune = lambda self, stage, tuned: None
    try:
        for epoch, last in ((0, 0), (4, 3), (10, 9), (12, 9)):
            setup, state = searching(epochs=10)
            state.epoch = epoch
            seen.clear()
            rule.select(setup, state)
            yield f"after {epoch} of 10 epochs the schedules of", set(seen), {last}
    finally:
        for name, method in kept.items():
            if method is None:
                delattr(kind, name)
            else:
                setattr(kind, name, method)
    calls, steps = [], (loop.architecture_step, loop.weight_step)
    loop.architecture_step = lambda setup, state: calls.append(("α", state.step))
    loop.weight_step = lambda setup, state: calls.append(("w", state.step))
    try:
        setup, state = searching(epochs=10, batch=16)
        rule._tune(setup, state)
    finally:
        loop.architecture_step, loop.weight_step = steps
    yield "tuned for 3 epochs of 2 steps, α first", calls, [(x, s) for s in range(6) for x in "αw"]
    for removed in (False, True):
        rule, told = make("paper", masks_removed=removed), []
        before, kind = type(rule).importance, type(rule)

        def judge(self, setup, stage, state, edge, operation, told=told):
            told.append(sorted(stage.composition.variants[-1].dropped))
            return float(-edge), 0.0

        kind.importance = judge
        try:
            setup = searching()[0]
            rule._leaving(
                setup, None, dict.fromkeys(range(28), 1), frozenset({27}), [2, 3, 4, 5], 2
            )
        finally:
            kind.importance = before
        published = [[27]] * 4 + [[5, 27] if removed else [27]] * 3
        yield f"masks_removed {removed}: who is out while a node is judged", told, published


def masked(make):
    """Accuracies without each operation: the least decides, then the highest loss, then the first."""
    import torch

    rule = make("paper")
    kind, seen = type(rule), []
    before = kind._score
    scores = {0: (50, -1.0), 1: (30, -2.0), 2: (30, -3.0), 3: (40, -9.0), 4: (30, -3.0)}

    def score(self, setup, state, mixture):
        (gone,) = (mixture[2] == 0).nonzero().flatten().tolist()
        seen.append(mixture.clone())
        return scores[gone]

    kind._score = score
    try:
        setup = SimpleNamespace(mixture=lambda state: torch.full((6, 5), 0.2))
        found = rule.strongest(setup, None, 2, [0, 1, 2, 3, 4])
    finally:
        kind._score = before
    yield "masking 1, 2 and 4 costs most; loss, then order", found, 2
    yield "the others are not renormalised", seen[0][2].tolist(), [0.0, 0.2, 0.2, 0.2, 0.2]
    gone = []

    def whole(self, setup, state, mixture):
        gone.append(mixture.sum(-1).tolist())
        return 7, -0.5

    kind._score = whole
    try:
        worth = rule.importance(None, setup, None, 2, 3)
    finally:
        kind._score = before
    yield "an edge is masked whole", gone[0], [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    yield "it matters as much as it costs", worth, (-7, 0.5)
    yield from scored(rule)
    yield from projected()


def scored(rule):
    """Right answers, and the loss summed over all images, in batches of the rule's size."""
    import torch

    from bench.contracts import registry

    pixels, labels = torch.zeros(5, 1, 8, 8), torch.tensor([0, 1, 1, 0, 1])
    digits = registry.parse("data", {"name": "digits", "size": 40}).halves().valid
    images = replace(digits, pixels=pixels, labels=labels)
    answers = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5], [0.0, 4.0]])
    sizes, done = [], 0

    def logits(state, moment, batch, mixture, pure):
        nonlocal done
        sizes.append(len(batch.labels))
        found = answers[done : done + len(batch.labels)]
        done += len(batch.labels)
        return found

    setup = SimpleNamespace(
        moment=lambda state, phase: phase,
        data=SimpleNamespace(valid=images),
        logits=logits,
    )
    right, minus_loss = type(rule)(batch=2)._score(setup, None, None)
    # −log softmax of the label, by hand: log(1 + e^−d) with d = 2, 1, −3, −0.5, 4.
    loss = sum(math.log(1 + math.exp(-d)) for d in (2, 1, -3, -0.5, 4))
    yield "right answers", right, 3
    yield "minus the loss of all images", minus_loss, -loss


def projected():
    import sys

    import torch

    from tests.golden.harness import at

    helper = sys.modules["bench.selection._projection"]
    stage = helper.Projected(decided={1: 3}, learns=False, dropped=frozenset())
    row = stage.mixture(torch.full((6, 5), 0.2), {}, at())[1]
    yield "a decided edge is one-hot", row.tolist(), [0.0, 0.0, 0.0, 1.0, 0.0]
    gone = helper.Projected(decided={1: 3}, learns=False, dropped=frozenset({1}))
    yield (
        "an edge that left gives nothing",
        gone.mixture(torch.ones(6, 5), {}, at())[1].sum().item(),
        0.0,
    )
    yield "it joins a search under way", stage.midway, True
    everything = [*range(5)]
    yield "it competes alone", stage.candidates(NB201, at()), [everything, [3]] + [everything] * 4
    yield "nothing is dropped: all may run", stage.active(NB201, {}, at()), None
    found = [list(own) for own in gone.active(NB201, {}, at())]
    yield "nothing runs on an edge that left", found, [everything, []] + [everything] * 4


INERT = {
    "tuned.epoch = max": "the last epoch's schedules; see tests/selection",
    "state.step += 1": "counts steps",
    "learns: bool": "a default that select never uses",
    "moment, right, loss": "where a sum begins",
}
