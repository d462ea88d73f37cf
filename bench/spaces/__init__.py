"""What is searched: one space a module or package. The contract is `bench.contracts.space`."""

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active, Architecture, Size, Space, Standalone, Supernet

__all__ = ["Active", "Architecture", "CellHooks", "Size", "Space", "Standalone", "Supernet"]
