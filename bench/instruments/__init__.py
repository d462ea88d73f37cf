"""What is watched along the way: one instrument a module. The contract is `bench.contracts.instrument`."""

from bench.contracts.instrument import (
    Instrument,
    Reading,
)

__all__ = ["Instrument", "Reading"]
