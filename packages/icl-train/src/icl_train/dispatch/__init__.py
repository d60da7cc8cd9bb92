"""Dispatches: the compiled step, programs of many steps, how many each has, and the batches that it takes."""
