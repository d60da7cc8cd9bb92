"""Learning functions from their points (the function form of Kirsch et al. 2022)."""
