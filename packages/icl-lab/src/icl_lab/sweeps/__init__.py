"""Sweeps: runs of an experiment that differ in some options, planned, run by one or more processes, and drawn."""
