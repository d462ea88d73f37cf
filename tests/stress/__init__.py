"""Attacks drawn at random: `pytest -m stress tests/stress --stress-seed N`."""
