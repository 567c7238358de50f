"""The Classic management API."""
