"""Linear regression in context (Garg et al. 2022, section 3)."""
