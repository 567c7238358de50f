"""The studio file, its settings and the profiles."""
