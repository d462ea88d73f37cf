"""What every member of every seam is: a typed configuration that knows its own name."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict

from bench.contracts.plain import Plain
from bench.contracts.plugins import OUTSIDE

CONTRACTS = __name__.rpartition(".")[0]


def member_name(module: str) -> str:
    """Return the name of the member that a module holds.

    ``bench.variants.skip_dropout`` → ``skip_dropout``; a space that is a package keeps the
    package's name (``bench.spaces.nb201.supernet`` → ``nb201``); a contract, or a base class in a
    module with a leading underscore, has no name.
    """
    package, *inner = module.split(".")
    if module.startswith(CONTRACTS + ".") or any(part.startswith("_") for part in inner):
        return ""
    if package.startswith(OUTSIDE):
        return inner[0] if inner else ""
    return (
        inner[1]
        if package == CONTRACTS.split(".")[0] and len(inner) > 1
        else (inner or [package])[-1]
    )


class Member(Plain):
    """What every member of a seam is: a frozen, typed configuration with behaviour.

    The fields are the member's parameters as they stand in an ablation file; the first line of the
    docstring is its summary.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False
    )

    name: ClassVar[str] = ""
    """The name in ablation files: that of the module that the class is defined in."""
    paper: ClassVar[str] = ""
    """The paper that it comes from, as `Author year, title, identifier`."""
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """Named sets of parameters (``preset: paper``); what stands beside the name wins."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in cls.__dict__:
            cls.name = member_name(cls.__module__)

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring.

        Returns
        -------
        str
            One line; empty where there is no docstring.
        """
        return (cls.__doc__ or "").strip().split("\n")[0]
