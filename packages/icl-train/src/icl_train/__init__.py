"""A sharded JAX training loop for any pytree of parameters, which can be stopped and resumed exactly."""
