"""What every instrument promises."""

from __future__ import annotations

import fnmatch
import math

import torch

from bench.conformance import Check, expect
from bench.conformance._small import BASE, searched
from bench.contracts import registry
from bench.contracts.instrument import Instrument


def leaves_no_trace(instrument: Instrument) -> None:
    """A search with it and one without are the same."""
    before = torch.get_rng_state()
    _, plain = searched()
    _, watched = searched(instruments=[*BASE["instruments"], registry.dump(instrument)])
    expect(torch.equal(before, torch.get_rng_state()), "it draws from torch's global stream")
    for part in ("supernet", "architecture"):
        one, two = plain.to_dict()[part], watched.to_dict()[part]
        differ = [name for name, value in one.items() if not torch.equal(value, two[name])]
        expect(not differ, f"with it {part}.{(differ or [''])[0]} ends elsewhere")
    for without, with_it in zip(plain.history, watched.history, strict=True):
        lost = [name for name in without if repr(without[name]) != repr(with_it.get(name))]
        expect(not lost, f"with it the search's own {lost} are others")


def declared(instrument: Instrument) -> None:
    """Readings are numbers that it has declared, the same when read twice."""
    setup, state = searched(truth="analog")
    found, again = instrument.observe(setup, state), instrument.observe(setup, state)
    expect(bool(found), "it reads nothing")
    for name, value in found.items():
        expect(type(value) is float, f"{name} is a {type(value).__name__}, not a float")
        other = again.get(name, math.nan)
        expect(value == other or (value != value and other != other), f"{name}: {value}, {other}")
        if instrument.details and name.startswith(instrument.details):
            continue
        named = [entry.name for entry in instrument.measures]
        known = any(fnmatch.fnmatchcase(name, pattern) for pattern in named)
        expect(known, f"{name} is not in measures")


def priced(instrument: Instrument) -> None:
    """It says what it costs."""
    expect(bool(instrument.cost), "cost is empty")


CHECKS: dict[str, Check] = {
    "says what a reading costs": priced,
    "a search with it ends where one without it does, bit for bit": leaves_no_trace,
    "readings are declared numbers, twice the same": declared,
}
