"""In-context and in-weights measures with intervals, figures and self-contained reports."""
