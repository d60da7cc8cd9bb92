"""What an evaluation finds: estimates with intervals, results, curves, and the arrays that are saved with them."""
