"""Items, classes and sequences for in-context-learning research as NumPy arrays, streamed by Grain."""
