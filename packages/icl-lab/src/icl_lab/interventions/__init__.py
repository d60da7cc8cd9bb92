"""Interventions while training, of all kinds: their values, their words, and what a session makes of them."""
