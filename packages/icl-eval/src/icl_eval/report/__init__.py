"""Pages: the report of a run, comparisons, galleries."""
