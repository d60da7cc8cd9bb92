"""Interventions on what goes on inside a model while it is trained: named, stated values, and what they make of it."""
