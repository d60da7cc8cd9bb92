"""Symbols from urns and Markov chains, whose best predictors are known (Wurgaft et al. 2025; Park et al. 2024)."""
