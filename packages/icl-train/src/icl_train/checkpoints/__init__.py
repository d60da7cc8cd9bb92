"""Everything that a run saves, and reading it back."""
