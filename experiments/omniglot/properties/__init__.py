"""Properties of the data against ICL and IWL (Chan et al. 2022, figures 2 to 6): a sweep of omniglot runs."""
