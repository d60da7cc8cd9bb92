"""A strict environment: no silent broadcasting."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
