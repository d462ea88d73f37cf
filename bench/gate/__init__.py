"""Has search quality regressed? A deterministic layer, and a statistical one with a known error."""
