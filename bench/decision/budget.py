"""Which seeds: a fixed number, a list, or as many as it takes within a budget."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from bench.ablation.yamlfile import ConfigError
from bench.contracts.plain import Plain
from bench.names import MAX_SEED

MAX_SEEDS = 1000
MOST = 64
UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")
COUNT = re.compile(r"(\d+)\s*(?:seeds?|pairs?)?")


def _duration(value: Any) -> Any:
    if isinstance(value, int | float) or value is None:
        return value
    found = DURATION.fullmatch(str(value).strip())
    if found is None:
        raise ValueError("expected a duration such as 90s, 5m or 2h")
    return float(found[1]) * UNITS[found[2]]


class Until(Plain):
    """Pairs of seeds are added until the contrast is decided or one of these is used up."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    until: Literal["decided"] = "decided"
    most: int = Field(MOST, ge=1, le=MAX_SEEDS, description="seeds at most")
    least: int = Field(
        1, ge=1, le=MAX_SEEDS, description="pairs at least, decided or not: an effect wants a size"
    )
    others: int | None = Field(
        None,
        ge=0,
        le=MAX_SEEDS,
        description="seeds at most for variants that are not of the contrast; null: until each is "
        "decided",
    )
    budget: Annotated[float | None, BeforeValidator(_duration)] = Field(
        None, gt=0, description="time for one call of the command, e.g. 5m; null: no limit"
    )

    def within(self, text: str) -> Until:
        """Return the same with what ``--budget`` says: a duration, a number of seeds, or both.

        Raises
        ------
        ConfigError
            Where it says something else.
        """
        changed: dict[str, Any] = {}
        for part in (part.strip() for part in text.split(",")):
            if DURATION.fullmatch(part):
                changed["budget"] = _duration(part)
            elif found := COUNT.fullmatch(part):
                changed["most"] = int(found[1])
            else:
                raise ConfigError(
                    f"--budget {text}: expected a duration (90s, 5m, 2h), a number of seeds (40), "
                    "or both with a comma between"
                )
        try:
            return Until.model_validate(self.model_dump() | changed)
        except ValidationError as error:
            raise ConfigError(f"--budget {text}: {error.errors()[0]['msg']}") from None


def read(value: Any, where: str, offset: int = 0) -> tuple[tuple[int, ...], Until | None]:
    """Read what stands under ``seeds``: a count, a list of numbers, or ``{until: decided, …}``.

    Returns
    -------
    tuple
        The seeds, all that may be run where it is open how many will be; and until when.

    Raises
    ------
    ConfigError
        One line naming the place.
    """
    until = None
    if isinstance(value, dict):
        try:
            until = Until.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, ("seeds", *first["loc"])))
            message = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{where}: {field}: {message}") from None
        value = until.most
    try:
        if isinstance(value, list):
            seeds = [int(str(item)) for item in value]
        else:
            count = int(str(value))
            seeds = list(range(count)) if count <= MAX_SEEDS else []
    except ValueError:
        raise ConfigError(
            f"{where}: seeds: expected a count or a list of integers, not {value!r}; or "
            "{until: decided}"
        ) from None
    if not 1 <= len(seeds) <= MAX_SEEDS or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError(
            f"{where}: seeds: expected 1 to {MAX_SEEDS} different numbers ≥ 0, not {value!r}"
        )
    if max(seeds) + offset > MAX_SEED:
        raise ConfigError(f"{where}: seeds: at most {MAX_SEED} (2^53 − 1): tables round beyond")
    return tuple(seed + offset for seed in seeds), until
