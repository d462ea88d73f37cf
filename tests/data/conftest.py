"""A cache of a test's own, and a small folder of images."""

import pytest

from bench.data import _cache
from tests.data.painted import paint


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Give every test a cache of its own and files that count as untouched at once."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_cache, "SETTLED", -60.0)
    _cache._say_once.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    """Return a folder with the classes a and b, four images of each in train and in test."""
    for split in ("train", "test"):
        for value, label in ((10, "a"), (200, "b")):
            for i in range(4):
                paint(tmp_path / "x" / split / label / f"{i}.png", value + i)
    return tmp_path / "x"
