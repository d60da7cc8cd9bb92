"""Sequences of items and labels: which classes, which exemplars, in which order."""
