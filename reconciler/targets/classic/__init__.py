"""Classic endpoints."""
