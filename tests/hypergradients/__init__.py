"""Hypergradient estimators against closed forms, each other, brute force and a second library."""
