"""What is changed in the search: one variant a module. The contract is `bench.contracts.variant`."""

from bench.contracts.moment import Half, Moment, Phase
from bench.contracts.variant import Site, Stop, Variant, overrides

__all__ = ["Half", "Moment", "Phase", "Site", "Stop", "Variant", "overrides"]
