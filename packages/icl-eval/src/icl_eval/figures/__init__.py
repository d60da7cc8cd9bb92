"""Figures, each from numbers alone."""
