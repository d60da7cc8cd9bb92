"""Properties of the data against ICL and IWL, over omniglot runs (Chan et al. 2022, figures 2 to 6)."""
