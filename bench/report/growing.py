"""Seeds until the contrast is decided: what a campaign is told by the results that it has so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.ablation.yamlfile import ConfigError
from bench.decision.growth import Growth
from bench.metrics import question
from bench.report.rows import value
from bench.runs import store

if TYPE_CHECKING:
    from bench.ablation.file import Ablation
    from bench.runs.campaign import Campaign
    from bench.runs.spec import RunSpec


def grow(
    ablation: Ablation, campaign: Campaign, specs: Sequence[RunSpec], side_by_side: int
) -> Growth:
    """Return what adds pairs of seeds until the ablation's contrast is decided.

    Parameters
    ----------
    campaign
        Begun without runs; they come from here.
    specs
        All runs that there may be, seeds outermost.
    side_by_side
        How many go at a time.

    Raises
    ------
    ConfigError
        Where an arm of the contrast is not to be run.
    """
    contrast, until = ablation.contrast, ablation.until
    assert until is not None

    def reached(spec: RunSpec) -> float | None:
        folder = campaign.folder(spec)
        ended = folder in campaign.ended or folder in campaign.cached
        return value(folder, contrast.metric) if ended else None

    def seconds(spec: RunSpec) -> float:
        found = (store.read_result(campaign.folder(spec)) or {}).get("seconds")
        return math.nan if found is None else float(found)

    asked = question(contrast.metric, contrast.smallest)
    try:
        return Growth(
            specs, contrast.of, contrast.against, asked, until, reached, seconds, side_by_side
        )
    except ValueError as error:
        raise ConfigError(f"--only: {error}") from None
