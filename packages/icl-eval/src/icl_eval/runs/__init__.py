"""Run folders: reading, writing, comparing."""
