"""What a run measures on the way, and the files that it goes to."""
