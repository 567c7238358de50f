"""Endpoint sets: their items, templates and expansion."""
