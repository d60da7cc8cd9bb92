"""The phases of learning to learn, over grids of gpicl runs (Kirsch et al. 2022)."""
