"""Closed forms of how well a model learns in context, and the models that they are about."""
