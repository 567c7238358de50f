"""Reads spec files: YAML and JSON with positions, and all their errors."""
