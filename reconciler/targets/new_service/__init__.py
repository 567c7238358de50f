"""New web services."""
