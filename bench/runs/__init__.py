"""Runs on disk, one and many: identity, executing, storing, watching."""
