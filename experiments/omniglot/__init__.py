"""Emergent in-context learning on sequences of character images and labels (Chan et al. 2022)."""
