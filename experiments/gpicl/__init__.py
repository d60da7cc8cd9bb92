"""General-purpose in-context learning on projected labelled sets (Kirsch et al. 2022)."""
