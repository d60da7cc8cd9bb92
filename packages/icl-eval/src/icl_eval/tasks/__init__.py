"""Evaluation on tasks: labels and functions, by the number of examples."""
