"""Sweeps: the runs below a folder, as one table, by what sets them apart, and when each came to a threshold."""
