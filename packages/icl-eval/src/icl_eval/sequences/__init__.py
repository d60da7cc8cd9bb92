"""Evaluation on sequences of labelled items: accuracies, losses, and what the context alone would say."""
