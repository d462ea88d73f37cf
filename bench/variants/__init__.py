"""What is changed in the search: one variant a module. The contract is `bench.contracts.variant`."""

from bench.contracts.variant import (
    Half,
    Moment,
    Phase,
    Site,
    Stop,
    Variant,
    overrides,
)

__all__ = ["Half", "Moment", "Phase", "Site", "Stop", "Variant", "overrides"]
