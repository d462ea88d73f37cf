"""NAS-Bench-301: a surrogate that predicts what genotypes of the DARTS space are worth."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from bench.contracts.data import DataSource
from bench.contracts.identity import Place
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError, TruthSource
from bench.files import UnfitFileError, read
from bench.streams import generator
from bench.written import one_line

LARGEST = 4 << 30
"""Bytes of a model; the ensembles have a few hundred million."""
PACKAGE = "nasbench301"
HOW = "python -m pip install nasbench301, and unpack its models (see its README)"


class Genotype(NamedTuple):
    """What the package takes: the original code's own tuple."""

    normal: list[tuple[str, int]]
    normal_concat: list[int]
    reduce: list[tuple[str, int]]
    reduce_concat: list[int]


class Nasbench301(TruthSource):
    """NAS-Bench-301's ensemble: predicted CIFAR-10 validation accuracies, with their spread.

    Not a table but a model, trained on about 60,000 networks of the full DARTS space (C=32, 8
    cells, 100 epochs). Every member of the ensemble stands for a training seed, so that the spread
    over "seeds" is the surrogate's own uncertainty, not the noise of training; no noise is added.
    Whatever ranks the whole table elsewhere (best, percentile, regret) is meant relative to
    ``reference`` genotypes drawn uniformly, so that a regret may be negative.

    Needs the package ``nasbench301`` with its models, and ``path``. The package unpickles its
    models, which runs what the files say: give it files that you trust only.
    """

    paper: ClassVar[str] = (
        "Zela et al. 2022, Surrogate NAS Benchmarks: Going Beyond the Limited Search Spaces of "
        "Tabular NAS Benchmarks (NAS-Bench-301), arXiv:2008.09777"
    )
    space: ClassVar[str] = "darts"
    executes: ClassVar[bool] = True

    path: Place
    """The folder of an ensemble, such as ``nb_models_1.0/xgb_v1.0``."""
    reference: int = Field(1000, ge=10, description="genotypes that stand for the whole space")

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; the models are hashed, not loaded."""
        return self._hashed(self._members())

    def _members(self) -> list[Path]:
        members = sorted(self.path.rglob("*surrogate_model.model"))
        if not members:
            raise TruthError(f"{self.path}: no models of NAS-Bench-301 in this folder; {HOW}")
        return members

    def _hashed(self, members: list[Path]) -> str:
        digest = hashlib.sha256()
        try:
            for member in members:
                digest.update(read(member, LARGEST))
        except UnfitFileError as error:
            raise TruthError(str(error)) from None
        except OSError as error:
            raise TruthError(f"{self.path}: cannot be read ({error})") from None
        return digest.hexdigest()

    def load(self) -> Truth:
        """Load the surrogate.

        Raises
        ------
        TruthError
            When the package or its models are not there, or do not load.
        """
        if importlib.util.find_spec(PACKAGE) is None:
            raise TruthError(
                f"the truth 'nasbench301' needs the package {PACKAGE}, which is not here; {HOW}"
            )
        members = self._members()
        from bench.spaces.darts import Darts  # late: saves start-up time

        digest = self._hashed(members)
        try:
            module: Any = importlib.import_module(PACKAGE)
            ensemble = module.load_ensemble(str(self.path))
        except Exception as error:  # whatever an old package raises on this Python
            text = one_line(error, 200)
            raise TruthError(
                f"{self.path}: {PACKAGE} could not load it ({type(error).__name__}: {text})"
            ) from None
        return Truth(
            accuracy=Predictions(ensemble, self.reference),
            dataset="cifar10",
            budget=100,
            split="valid",
            provenance=f"NAS-Bench-301 {self.path.name}: predictions of {len(members)} models, "
            f"not measurements; ranks are among {self.reference} random genotypes",
            sha256=digest,
            space=Darts(),
        )


class Predictions(Mapping[str, NDArray[np.float64]]):
    """Genotype → prediction of every member [members], in percent; asked when wanted.

    Iterating gives the reference genotypes; any other of the full space may be asked for too.
    """

    def __init__(self, ensemble: Any, reference: int) -> None:
        from bench.spaces.darts import Darts  # late: saves start-up time

        self.ensemble, self.full = ensemble, Darts()
        drawn = self.full.sample(reference, generator("cpu", 0, PACKAGE))
        self.names = list(dict.fromkeys(self.full.encode(cell) for cell in drawn))
        self.ask = functools.lru_cache(maxsize=100_000)(self._ask)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        try:
            return self.ask(name)
        except ValueError:  # not of the full space: noise, or another number of nodes
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def _ask(self, name: str) -> NDArray[np.float64]:
        from bench.spaces.darts.genotypes import fields  # late: saves start-up time

        self.full.decode(name)
        found = fields(name)
        api, model = self.ensemble, self.ensemble.model
        # The package's own way: what it trained with, then the architecture.
        config = api.convert_representation(Genotype(**found), "genotype")
        module: Any = importlib.import_module(f"{PACKAGE}.api")
        config = {**module.fixed_hyperparameters, **config}
        state = torch.get_rng_state()
        try:
            members = np.asarray(model.query_members(config), dtype=np.float64).reshape(-1)
        finally:
            torch.set_rng_state(state)
        if not members.size or not np.isfinite(members).all():
            raise TruthError(f"NAS-Bench-301 predicts no number for {name:.60}")
        return members
