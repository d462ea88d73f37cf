"""What a run will take: time, memory and disk, estimated before it is run."""

from __future__ import annotations

from dataclasses import dataclass

from bench.runs.spec import RunSpec


@dataclass(frozen=True)
class Cost:
    """What a run is expected to take.

    Attributes
    ----------
    seconds
        On one process; rough.
    memory
        Bytes at the peak.
    disk
        Bytes kept.
    basis
        What the time rests on.
    instruments
        Share of the passes through the supernet that instruments take.
    """

    seconds: float
    memory: int
    disk: int
    basis: str
    instruments: float


def readings(spec: RunSpec) -> dict[str, float]:
    """Return what every instrument of a run costs over the whole search, in units of F."""
    settings = spec.settings
    epochs, count = settings.search.epochs, parameters(spec)
    found: dict[str, float] = {}
    for instrument in settings.instruments:
        times = len({e for e in range(1, epochs + 1) if e % instrument.every == 0} | {epochs})
        took = times * instrument.cost_in_passes(settings, count)
        found[instrument.name] = found.get(instrument.name, 0.0) + took
    return found


def parameters(spec: RunSpec) -> int:
    """Count the entries of alpha."""
    return len(spec.settings.space.edges) * len(spec.settings.space.operations)


def cost_in_passes(spec: RunSpec) -> float:
    """Return what the steps of a search cost in units of F, without instruments.

    A forward and backward pass in every pass of the weight step, and those of the hypergradient.
    What a variant's perturbation costs is not in.
    """
    settings = spec.settings
    data, search = settings.data, settings.search
    _, total = data.extent()
    each: float = max([1, *(v.passes(settings.space) for v in spec.variants)])
    each += settings.hypergradient.cost_in_passes(parameters(spec))
    return search.epochs * max(1, total // 2 // search.batch) * each


def multiply_adds(spec: RunSpec) -> float:
    """Return the multiply–adds of a run, in 10⁹, by a count of its convolutions.

    Counts the supernet's convolutions in the passes of the search and of the instruments, and one
    forward pass per ranked architecture and image at half the operations; and what the truth has
    to train.

    Parameters
    ----------
    spec
        Of the run.

    Returns
    -------
    float
        10⁹ multiply–adds.
    """
    settings = spec.settings
    data, search = settings.data, settings.search
    resolution, total = data.extent()
    per_image = settings.space.size(resolution).operations / 1e9
    searching = cost_in_passes(spec) + sum(readings(spec).values())
    ranking = 0.0
    if settings.ranking is not None and settings.ranks:
        cells_ranked = settings.ranking.population.size or 6466
        ranking = cells_ranked * (settings.ranking.images or total / 2) * per_image / 3
    asking = settings.truth.multiply_adds(settings) if settings.truth is not None else 0.0
    return searching * search.batch * 3 * per_image + ranking + asking


def cost(spec: RunSpec, measured: dict[str, float]) -> Cost:
    """Estimate a run's cost.

    Parameters
    ----------
    measured
        Device → seconds per 10⁹ multiply–adds seen in finished runs of this output folder.
    """
    rate = measured.get(spec.settings.device)
    basis = "finished runs here" if rate else "a rule of thumb"
    rate = rate or (0.11 if spec.settings.device == "cpu" else 0.004)
    size = spec.settings.space.size(spec.settings.data.resolution or 32)
    memory = 400_000_000 + 4 * size.kept * spec.settings.search.batch + 40 * size.weights
    reading = sum(readings(spec).values())
    share = reading / (reading + cost_in_passes(spec))
    return Cost(multiply_adds(spec) * rate, memory, 100_000 + 12 * size.weights, basis, share)
