"""scikit-learn's digits, without loading scikit-learn: that takes two seconds of every run and plan."""

from __future__ import annotations

import gzip
import importlib.util
import io
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from bench.files import read, unpack

FILE = Path("datasets", "data", "digits.csv.gz")
LARGEST = 4_000_000
"""Bytes, unpacked; it has half a million."""


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return images [1797, 8, 8] from 0 to 16, and labels [1797].

    From scikit-learn's file; through scikit-learn itself where that lies elsewhere.
    """
    found = importlib.util.find_spec("sklearn")
    place = Path((found.origin if found else None) or "sklearn").parent / FILE
    if not place.is_file():
        from sklearn.datasets import load_digits  # late: see above

        loaded = load_digits()
        return loaded.images, loaded.target
    with gzip.GzipFile(fileobj=io.BytesIO(read(place, LARGEST))) as packed:
        text = unpack(cast(IO[bytes], packed), LARGEST, place)
    table = np.array([line.split(b",") for line in text.split()], dtype=np.float64)
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
