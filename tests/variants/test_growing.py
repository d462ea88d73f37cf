"""P-DARTS's stages in the DARTS space: the supernet grows, the rate begins anew, resumes bit for bit."""

import io

import torch

from bench.contracts import registry
from bench.runs.restore import restore
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state


def begun():
    settings = Settings.model_validate(
        {
            "space": {"name": "darts", "channels": 4, "layers": 3, "nodes": 1},
            "data": {"name": "digits", "size": 32},
            "device": "cpu",
            "ranking": None,
            "search": {"epochs": 6, "batch": 16},
            "selection": "limited_skips",
            "instruments": [],
        }
    )
    variant = {"name": "operation_shrinking", "keep": [5, 3], "deeper": [1, 2], "warmup": 0.0}
    setup = build(settings, [registry.parse("variants", variant)], 0)
    return setup, initial_state(setup)


def test_each_stage_is_deeper_begins_at_the_top_rate_and_a_search_goes_on_from_any_epoch():
    setup, state = begun()
    depths, rates, saved = [], [], {}

    def note(now):
        depths.append(len(now.supernet.cells))
        rates.append(now.weight_optimizer.param_groups[0]["lr"])
        buffer = io.BytesIO()
        torch.save(now.to_dict(), buffer)
        saved[now.epoch] = buffer

    search(setup, state, after_epoch=note)
    assert depths == [3, 4, 4, 5, 5, 5]  # seen after the restart that ends an epoch
    assert rates[0] == rates[2] == rates[4] > rates[1] == rates[3] == rates[5]
    assert [len(row) for row in state.memory["operation_shrinking"]] == [3] * 4
    for epoch in (1, 2, 3, 4):
        saved[epoch].seek(0)
        again_setup, again = begun()
        restore(again_setup, again, torch.load(saved[epoch], weights_only=True))
        search(again_setup, again)
        assert torch.equal(again.architecture["alpha"], state.architecture["alpha"])
        for one, other in zip(
            again.supernet.parameters(), state.supernet.parameters(), strict=True
        ):
            assert torch.equal(one, other)
    cell = setup.settings.selection.select(setup, state)
    assert setup.space.decode(setup.space.encode(cell)) == cell
