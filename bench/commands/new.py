"""`bench new variant NAME`: the file of a new variant, and what to write into an ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TEMPLATE = '''"""TODO: what {name} changes, in one line."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from bench.variants import Moment, Variant


class {kind}(Variant):
    """TODO: the formula, its symbols, and where paper and code disagree.

    The hooks to override are those of `bench.variants.Variant`. Random numbers come from
    ``moment.generator(self.name, ...)``; what must outlive an epoch goes into ``state.memory``.
    """

    paper: ClassVar[str] = "TODO: Author year, title, arXiv:number"
    off: ClassVar[dict[str, Any] | None] = {{"strength": 0.0}}
    presets: ClassVar[dict[str, dict[str, Any]]] = {{"paper": {{"strength": 1.0}}}}

    strength: float = Field(1.0, ge=0, description="TODO: what it scales")

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return a term to add to the validation loss, here strength·mean α²."""
        return self.strength * (architecture["alpha"] ** 2).mean() if self.strength else None
'''

ABLATION = """\
question: Does {name} change what is found?
contrast: {{metric: true_accuracy, of: {name}, against: darts}}
space: nb201
variants:
  darts: {{}}
  {name}:
    {name}: {{strength: 1.0}}"""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help="Scaffold something new.", no_args_is_help=True)
    group.command(name="variant")(variant)
    group.callback()(lambda: None)
    app.add_typer(group, name="new")


def variant(
    name: Annotated[str, typer.Argument(help="In lower case with underscores, e.g. my_variant.")],
) -> None:
    """Write bench/variants/NAME.py and print the ablation that runs it."""
    import keyword
    import re
    import sys

    import bench.variants
    from bench.contracts import registry

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is no name for a variant; use a-z, 0-9 and _, e.g. my_variant")
    if taken := _taken(name):
        raise ValueError(f"{name!r} is {taken}; a variant needs a name of its own")
    if name in registry.names("variants"):
        raise ValueError(f"there is a variant {name!r} already; see `bench show {name}`")
    path = Path(bench.variants.__path__[0]) / f"{name}.py"
    kind = "".join(part.capitalize() for part in name.split("_"))
    with path.open("x", encoding="utf-8") as file:
        file.write(TEMPLATE.format(name=name, kind=kind))
    print(f"wrote {path}; its contract test finds it by itself", file=sys.stderr)
    print(f"as ablations/{name}.yaml:\n", file=sys.stderr)
    print(ABLATION.format(name=name))


def _taken(name: str) -> str | None:
    """Say what a name means already in ablation files; None where it is free for a variant."""
    from bench.ablation.file import AblationFile
    from bench.contracts import registry
    from bench.search.settings import Settings

    if name in ("true", "false", "null", "yes", "no", "on", "off", "name", "preset"):
        return "a word of YAML or of ablation files"
    if name in Settings.model_fields or name in AblationFile.model_fields:
        return "a setting of a run"
    others = (
        seam for seam in registry.SEAMS if seam != "variants" and name in registry.names(seam)
    )
    return next((f"a {registry.singular(seam)} already" for seam in others), None)
