"""Noise on skips: its deviation, its kinds, its decay."""

import torch

SOURCE = (
    "NoisyDARTS, scripts/run_noisy_darts_search.sh (a to j) and model_search.py (NoiseOp: x.std()·factor; "
    "uniform on ±√(3·factor); multiplicative; cosine decay)"
)
SCRIPT = {
    "a": (0.2, 0.0, "gaussian", "additive", False), "b": (0.1, 0.0, "gaussian", "additive", False),
    "c": (0.2, 0.0, "uniform", "additive", False), "d": (0.1, 0.0, "uniform", "additive", False),
    "e": (0.2, 1.0, "gaussian", "multiplicative", False),
    "f": (0.1, 1.0, "gaussian", "multiplicative", False),
    "g": (0.2, 0.5, "gaussian", "additive", True), "h": (0.2, 1.0, "gaussian", "additive", True),
    "i": (0.1, 0.5, "gaussian", "additive", True), "j": (0.1, 1.0, "gaussian", "additive", True),
}  # fmt: skip
X = 5 * torch.randn(64, 8, 16, 16, generator=torch.Generator().manual_seed(0))


def table(make):
    for name, told in {**SCRIPT, "paper": SCRIPT["a"]}.items():
        v = make(name)
        yield name, (v.factor, v.mean, v.noise, v.mode, v.decay), told
    v = make()
    yield "by default as the first", (v.factor, v.mean, v.noise, v.mode, v.decay), SCRIPT["a"]

    def noise(variant, **when):
        out = make.hooks(variant, **when).operation(X, cell=0, edge=0, operation=1)
        ratio = out / X if variant.mode == "multiplicative" else out - X
        return round(ratio.mean().item(), 2) + 0.0, round(ratio.std().item(), 2)

    yield "a: mean 0, deviation 0.2 of 5", noise(make("a")), (0.0, 1.0)
    yield "b: mean 0, deviation 0.1 of 5", noise(make("b")), (0.0, 0.5)
    yield "c: variance 0.2, whatever the features", noise(make("c")), (0.0, 0.45)
    yield "d: variance 0.1", noise(make("d")), (0.0, 0.32)
    yield "e: times N(1, 0.2²)", noise(make("e")), (1.0, 0.2)
    out = make.hooks(make("c")).operation(X, cell=0, edge=0, operation=1) - X
    yield "c: uniform within ±√0.6", round(out.abs().max().item(), 2), 0.77
    whole = tuple(round(v, 1) for v in noise(make(factor=1.0)))
    yield "a factor of one", whole, (0.0, 5.0)
    shifted = make(factor=0.0, mean=1.0), make(factor=0.0, mean=0.5)
    yield "a mean alone", [noise(v) for v in shifted], [(1.0, 0.0), (0.5, 0.0)]
    yield "g at epoch 0 of 50", noise(make("g"), epoch=0), (0.5, 1.0)
    yield "h half-way: half of N(1, 1)", noise(make("h"), epoch=25), (0.5, 0.5)
    yield "g in the end: none", noise(make("g"), epoch=50), (0.0, 0.0)
    yield "a does not decay", noise(make("a"), epoch=49), (0.0, 1.0)
    measured = make.hooks(make("a"), phase="evaluate").operation(X, cell=0, edge=0, operation=1)
    yield "none while measuring", torch.equal(measured, X), True
    scaled = (X * torch.arange(1.0, 9.0)[:, None, None]).requires_grad_()
    out = make.hooks(make("a")).operation(scaled, cell=0, edge=0, operation=1)
    deviation = (out - scaled).std().item() / scaled.std().item()
    yield "the deviation of all features together", round(deviation, 2), 0.2
    (found,) = torch.autograd.grad(out.sum(), scaled)
    yield "which is no path of the gradient", torch.equal(found, torch.ones_like(X)), True
    yield "skips only", make.member.touches, ("skip_connect",)


INERT = {"min(1.0, moment.epoch": "a look beyond the end is as the end"}
