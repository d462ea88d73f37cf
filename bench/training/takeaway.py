"""A network that leaves: weights as safetensors, and a ``model.py`` that imports torch alone.

The code is written from a trace of the network, so that it needs nothing of its space, and is held to
the network's own logits before it is kept.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, fx, nn

from bench.files import write_atomically
from bench.written import one_line

LEAVES = (
    nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.Identity, nn.ReLU, nn.Dropout, nn.AvgPool2d, nn.MaxPool2d,
    nn.AdaptiveAvgPool2d, nn.GroupNorm, nn.Hardswish, nn.SiLU, nn.GELU,
)  # fmt: skip
"""Modules of torch that are written as they are."""
CALL, GETATTR = nn.Module.__call__, nn.Module.__getattr__
MODEL, WEIGHTS, CONFIG, CARD = "model.py", "model.safetensors", "config.json", "README.md"
TOLERANCE = 1e-4
"""Of logits, relative to the largest: pooling is summed in another order here and there."""

HEAD = '''"""{title}: a network that stands alone.

Written by bench {version}. Needs torch, and safetensors to read its weights.
"""

import torch
from torch import nn

MEAN, STD = {mean}, {std}
"""Per channel, of pixels scaled to 0..1."""


def _put(module, name, value):
    *path, last = name.split(".")
    for part in path:
        if part not in module._modules:
            module.add_module(part, nn.Module())
        module = module._modules[part]
    if isinstance(value, nn.Parameter):
        module.register_parameter(last, value)
    else:
        module.add_module(last, value)


class Model(nn.Module):
    """Images [B, {channels}, H, W], normalised, to logits [B, {classes}]."""

    def __init__(self):
        super().__init__()
{modules}

{forward}

def normalise(images):
    """Normalise images [B, C, H, W] of values 0..1."""
    shape = (1, -1, 1, 1)
    return (images - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape)


def load(path="model.safetensors"):
    """Return the trained network, for evaluation."""
    from safetensors.torch import load_file

    model = Model()
    model.load_state_dict(load_file(path))
    return model.eval()
'''


class TakeawayError(ValueError):
    """A network that cannot be written down; says why."""


class _Sized(fx.Proxy):
    """A stand-in that knows how long it is, for the sample."""

    def __len__(self) -> int:
        assert isinstance(self.tracer, _Tracer)
        return len(self.tracer.value(self.node))


class _Tracer(fx.Tracer):
    """Goes through a network down to torch's own modules, the way that some images go."""

    def __init__(self, network: nn.Module, sample: Tensor) -> None:
        super().__init__()
        self.network, self.sample, self.known = network, sample, dict[fx.Node, Any]()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES)

    def to_bool(self, obj: Any) -> bool:
        """Answer what a network asks of its input (is it divisible by four?) for the sample."""
        return bool(self.value(obj.node))

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Sized(node, self)

    def value(self, node: fx.Node) -> Any:
        """Compute what the sample gives at a node."""
        # A trace puts its own in the place of these two, which would record what is asked here.
        with (
            mock.patch.object(nn.Module, "__call__", CALL),
            mock.patch.object(nn.Module, "__getattr__", GETATTR),
        ):
            return self._value(node)

    def _value(self, node: fx.Node) -> Any:
        if node not in self.known:
            args: Any = fx.node.map_arg(node.args, self._value)
            named: Any = fx.node.map_arg(node.kwargs, self._value)
            if node.op == "placeholder":
                self.known[node] = self.sample
            elif node.op == "get_attr":
                self.known[node] = self.network.get_parameter(str(node.target))
            elif node.op == "call_module":
                self.known[node] = self.network.get_submodule(str(node.target))(*args, **named)
            elif node.op == "call_method":
                self.known[node] = getattr(args[0], str(node.target))(*args[1:], **named)
            else:
                assert callable(node.target)
                self.known[node] = node.target(*args, **named)
        return self.known[node]


def write(
    network: nn.Module,
    folder: Path,
    told: dict[str, Any],
    sample: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> list[Path]:
    """Write a network into a folder: weights, code, what it is, and a card.

    Parameters
    ----------
    told
        What is kept of it as JSON: ``genotype``, ``space``, ``data``, ``recipe``, ``accuracy``, …
    sample
        Normalised images [B, C, H, W] that the written code is compared on.

    Raises
    ------
    TakeawayError
        When the network draws random numbers or does what cannot be traced.
    """
    try:
        from safetensors.torch import save
    except ImportError:
        raise TakeawayError(
            "safetensors is not installed: pip install 'bench-darts[export]'"
        ) from None
    network = network.eval().cpu()
    code = source(network, told, sample, mean, std)
    weights = {
        name: value.detach().clone().contiguous()
        for name, value in network.state_dict().items()
        if name in _named(code)
    }
    _compare(code, weights, network, sample)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        MODEL: code.encode(),
        WEIGHTS: save(weights, metadata={"format": "pt"}),
        CONFIG: json.dumps(told, indent=1, allow_nan=False).encode(),
        CARD: card(told, sum(value.numel() for value in weights.values())).encode(),
    }
    for name, content in texts.items():
        write_atomically(folder / name, content)
    return [folder / name for name in texts]


def source(
    network: nn.Module,
    told: dict[str, Any],
    sample: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> str:
    """Return the code of a network, whose names of weights are the network's own."""
    import bench  # late: the version alone

    try:
        # As for a compiler: what is there only to be fast on one processor is left out.
        with torch.no_grad(), mock.patch("torch.compiler.is_compiling", return_value=True):
            graph = fx.GraphModule(network, _Tracer(network, sample).trace(network)).graph
    except Exception as error:  # whatever of a space's code is not to be traced
        raise TakeawayError(f"this network cannot be written down: {_line(error)}") from None
    graph.eliminate_dead_code()
    lines = list(_modules(network, graph))
    written = graph.python_code("self")
    body = "\n".join(
        f"    {line}" if line.strip() else "" for line in written.src.strip().split("\n")
    )
    body = re.sub(r";  \w+ = None.*$", "", body, flags=re.MULTILINE)
    head = re.compile(r"def forward\(self, (\w+)[^)]*\)[^:]*:")
    body = head.sub(r"def forward(self, \1):", body)
    imports = []
    for name, value in written.globals.items():
        if name == "torch" or value is getattr(builtins, name, None):
            continue
        if re.search(rf"\b{re.escape(name)}\b", body):
            path = fx.node._get_qualified_name(value) if callable(value) else ""
            if not path.startswith("torch."):
                raise TakeawayError(f"this network cannot be written down: it uses {path or name}")
            imports.append(f"{name} = {path}")
    with torch.no_grad():
        classes = network(sample[:1]).shape[-1]
    code = HEAD.format(
        title=json.dumps(str(told.get("genotype", "a network")))[1:-1],
        version=bench.__version__,
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
        channels=sample.shape[1],
        classes=classes,
        modules="\n".join(f"        {line}" for line in lines),
        forward=body,
    )
    return code.replace("\n\ndef _put", "\n" + "\n".join(imports) + "\n\n\ndef _put", 1)


def card(told: dict[str, Any], numbers: int) -> str:
    """Return the model card: the cell, how it was trained, what it reached."""
    accuracy = told.get("accuracy")
    reached = (
        f"{accuracy:.2f} % of {told.get('test_images', 0):,} test images"
        if isinstance(accuracy, int | float)
        else "not measured: the weights are those of a supernet"
    )
    recipe = "\n".join(f"| {key} | {value} |" for key, value in (told.get("recipe") or {}).items())
    return f"""# {told.get("genotype")}

| | |
|---|---|
| cell | `{told.get("genotype")}` |
| space | {_short(told.get("space"))} |
| images | {_short(told.get("data"))} |
| seed | {told.get("seed")} |
| accuracy | {reached} |
| numbers | {numbers:,} |
| training | {told.get("origin", "from scratch")} |

```python
import torch
from model import load, normalise

model = load("model.safetensors")
logits = model(normalise(torch.rand(1, {told.get("channels", 3)}, 32, 32)))
```

`model.py` imports torch alone; what only training needs (auxiliary heads, dropped paths) is not in it.

| recipe | |
|---|---|
{recipe or "| – | – |"}
"""


def _short(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    said = ", ".join(f"{k} {v}" for k, v in value.items() if k != "name" and v is not None)
    return f"{value.get('name')} ({said})"


def _modules(network: nn.Module, graph: fx.Graph) -> Iterator[str]:
    """Yield the lines that build what the graph calls."""
    done = set()
    for node in graph.nodes:
        name = str(node.target)
        if node.op not in ("call_module", "get_attr") or name in done:
            continue
        done.add(name)
        if node.op == "get_attr":
            value = (
                network.get_parameter(name) if name in dict(network.named_parameters()) else None
            )
            if value is None:
                raise TakeawayError(f"this network cannot be written down: {name} is no weight")
            yield f'_put(self, "{name}", nn.Parameter(torch.empty({tuple(value.shape)})))'
            continue
        module = network.get_submodule(name)
        kind = next(c for c in type(module).__mro__ if c.__module__.startswith("torch.nn"))
        yield f'_put(self, "{name}", nn.{kind.__name__}({module.extra_repr()}))'


def _named(code: str) -> set[str]:
    return set(_made(code).state_dict())


def _made(code: str) -> nn.Module:
    """Return the network that the code makes, which was written here."""
    space: dict[str, Any] = {"__name__": "model"}
    exec(compile(code, MODEL, "exec"), space)
    model: nn.Module = space["Model"]()
    return model


def _compare(code: str, weights: dict[str, Tensor], network: nn.Module, sample: Tensor) -> None:
    model = _made(code)
    model.load_state_dict(weights)
    for batch in (sample, sample[: len(sample) // 2]):  # of another size: none is written down
        with torch.no_grad():
            wanted, found = network(batch), model.eval()(batch)
        far = float((wanted - found).abs().max() / wanted.abs().max().clamp_min(1e-12))
        if not far <= TOLERANCE:
            raise TakeawayError(
                f"this network cannot be written down: its logits would differ by {far:.1e}"
            )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"[:200]
