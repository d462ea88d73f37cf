"""The embedded truth: CIFAR-10 accuracies of all 15,625 cells from the package analog-nasbench."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.contracts.data import DataSource
from bench.contracts.identity import Place
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError, TruthSource
from bench.tables.unpickle import read_bytes, refuse_deep, safe_load, stand_in

PACKAGE = "analog-nasbench"
MODULE = "analognasbench"
FILE = "data.anb"
LARGEST = 64 << 20
"""Bytes; the file of version 0.1.3 has 5.6 million."""

OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""In the package's order."""
EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""(from, to) in the package's order."""


class Analog(TruthSource):
    """NAS-Bench-201's trained CIFAR-10 networks evaluated again (package analog-nasbench).

    One accuracy per cell. Against the official 200-epoch averages: τ-b 0.926, mean difference
    −0.29 points. The package is never imported; its data file is read with an allow-list.
    """

    paper: ClassVar[str] = "Dong and Yang 2020, NAS-Bench-201, arXiv:2001.00326"

    path: Place | None = None
    """A copy of the package's ``data.anb``; found in the installed package when left out."""

    @property
    def doubtful(self) -> bool:
        """A copy only: the package's own is complete, and checked by the hash it recorded."""
        return self.path is not None

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; the file is hashed, not read as a table."""
        path = self.path or _installed()[0]
        return hashlib.sha256(read_bytes(path, LARGEST)).hexdigest()

    def load(self) -> Truth:
        """See `TruthSource.load`."""
        if self.path is not None:
            path, origin = self.path, str(self.path)
            data = read_bytes(path, LARGEST)
            refuse_deep(data, str(path))
        else:
            path, version, recorded = _installed()
            origin = f"{PACKAGE} {version}"
            data = read_bytes(path, LARGEST)
            if recorded and _record_digest(data) != recorded:
                raise TruthError(
                    f"{path}: does not match the hash that its package recorded; "
                    f"run: python -m pip install --force-reinstall {PACKAGE}"
                )
        return Truth(
            accuracy=_read(data, str(path)),
            dataset="cifar10",
            budget=200,
            split="test",
            provenance=f"{origin}: the trained networks of NAS-Bench-201 evaluated again "
            "(baseline_accuracy), one number per cell",
            sha256=hashlib.sha256(data).hexdigest(),
        )


def _record_digest(data: bytes) -> str:
    # As wheels write it in RECORD.
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _installed() -> tuple[Path, str, str]:
    """Find the data file; returns its path, the package's version and the recorded hash."""
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise TruthError(
            f"the truth 'analog' needs the package {PACKAGE}; run: python -m pip install {PACKAGE}"
        ) from None
    # The wheel puts the file beside the module and a second time outside site-packages.
    for file in sorted(distribution.files or (), key=lambda file: ".." in file.parts):
        path = Path(str(distribution.locate_file(file)))
        if file.name == FILE and path.is_file():
            recorded = file.hash.value if file.hash and file.hash.mode == "sha256" else ""
            return path.resolve(), distribution.version, recorded
    spec = importlib.util.find_spec(MODULE)  # of a top-level name: imports nothing
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, FILE)).is_file():
            return path, distribution.version, ""
    raise TruthError(
        f"the package {PACKAGE} {distribution.version} lacks its {FILE}; "
        f"run: python -m pip install --force-reinstall {PACKAGE}"
    )


def _read(data: bytes, source: str) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Read the package's pickle: {cell: Architecture with baseline_accuracy}."""
    from bench.spaces.nb201 import cells  # late: saves start-up time

    allowed = {
        (f"{MODULE}.data", name): stand_in(name) for name in ("Architecture", "DriftMeasurement")
    }
    header = data[:4096].split(b"\n")[0].strip(b"\xef\xbb\xbf\r").split(b",")
    if data[:4] == b"PAR1" or data[:2] == b"\x1f\x8b" or b"arch" in header:
        raise TruthError(
            f"{source}: not the {FILE} of {PACKAGE} but a table; of a table of your own say "
            "truth.name=table too"
        )
    table = safe_load(io.BytesIO(data), allowed, source)
    if not isinstance(table, dict) or not table:
        raise TruthError(f"{source}: not the table of {PACKAGE}: expected a mapping from cells")
    operations = [cells.OPERATIONS.index(name) for name in OPERATIONS]
    order = [EDGES.index(edge) for edge in cells.EDGES]
    encoded, values = [], []
    for key, entry in table.items():
        if not (
            isinstance(key, tuple)
            and len(key) == len(EDGES)
            and all(type(i) is int and 0 <= i < len(OPERATIONS) for i in key)
        ):
            raise TruthError(f"{source}: not a cell: {key!r:.80}")
        value = getattr(entry, "baseline_accuracy", None)
        if type(value) is not float or not 0 <= value <= 100:
            raise TruthError(f"{source}: no accuracy in 0..100 for the cell {key}: {value!r:.40}")
        encoded.append(cells.encode(tuple(operations[key[i]] for i in order)))
        values.append(value)
    return dict(zip(encoded, np.array(values)[:, None], strict=True))
