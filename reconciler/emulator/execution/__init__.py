"""Scoring and batch jobs, of both kinds of web service."""
