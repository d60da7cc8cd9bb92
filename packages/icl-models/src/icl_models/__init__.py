"""Encoders, token layouts and sequence models for in-context-learning research, in Haiku."""
