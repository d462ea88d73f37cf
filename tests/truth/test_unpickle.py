"""The unpickler of plain data: nesting that would end the interpreter, and memory that runs out."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from bench.contracts.truth import TruthError
from bench.tables.unpickle import SafeUnpickler, load_safely, tuple_depth
from bench.truth.analog import Analog


def test_too_little_memory_is_no_damage() -> None:
    """Who reads `damaged` fetches a sound file again."""

    class Short(SafeUnpickler):
        def load(self) -> Any:
            raise MemoryError

    with pytest.raises(TruthError, match=r"^f: not enough memory") as caught:
        load_safely(Short(io.BytesIO(), {}, "f"))
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    "nested",
    [
        b"N" + b"\x85" * 2_000_000,  # ((((None,),),),)
        b"".join([b"N", *[b"N\x86"] * 500_000]),
        b"(" * 300_000 + b"t" * 300_000,
        b"N\x94" + b"".join(b"h\x00\x85\x94" for _ in range(3)) + b"\x85" * 100_000,
    ],
    ids=["one", "two", "marks", "memo"],
)
def test_tuples_too_deep_to_hash_do_not_end_the_interpreter(tmp_path: Path, nested: bytes) -> None:
    path = tmp_path / "data.anb"
    path.write_bytes(b"\x80\x04}" + nested + b"Ns.")
    with pytest.raises(TruthError, match="tuples in it are nested more than 64 deep"):
        Analog(path=path).load()


def test_how_deep_tuples_stand_is_followed_through_all_that_makes_them() -> None:
    shared = ((1,), 2)
    for content, depth in (
        ({"a": [1, {"b": (7,)}]}, 1),
        ({(1, 2): 3.0, (4, (5,)): "x"}, 2),
        ([shared, (shared, shared)], 3),
        ({frozenset({(1, (2,))}): 0}, 3),
        ([(([(1,)],),)], 2),  # what is in a list is not hashed
    ):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(content, protocol)
            if protocol < 4 and depth == 3 and isinstance(content, dict):
                continue  # a frozenset is made by a call there
            assert tuple_depth(data, 99) == depth, (content, protocol)
    assert tuple_depth(b"\x80\x04}N\x85", 9) == 1 and tuple_depth(b"hello", 9) == 0
