"""bench: the reference suite for studying why differentiable architecture search fails."""

__version__ = "0.2.0"
