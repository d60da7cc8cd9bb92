"""Experiments: a folder for each, run as ``python -m experiments.<name>``."""
