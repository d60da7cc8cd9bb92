"""Phases of learning to learn, by number of tasks and another setting (Kirsch et al. 2022): a sweep of gpicl runs."""
