"""Benchmarks, trials and data preparation, run as ``python -m tools.<name>`` from the root."""
