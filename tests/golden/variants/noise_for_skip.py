"""A standard normal number in place of every element of a skip."""

import torch

SOURCE = "a control of this suite; the noise is RobustDARTS's S4: src/search/operations.py, N(0, 1)"


def table(make):
    y = 7 * torch.ones(64, 8, 16, 16)
    for phase in ("weights", "architecture", "evaluate"):
        out = make.hooks(make(), phase=phase).operation(y, cell=0, edge=0, operation=1)
        yield (
            f"{phase}: mean and deviation",
            (
                round(out.mean().item(), 1) + 0.0,
                round(out.std().item(), 1),
            ),
            (0.0, 1.0),
        )
    yield "skips only", make.member.touches, ("skip_connect",)
    yield "no preset: no paper replaces the skip", make.member.presets, {}
