"""Definition files of New web services: reading, validating, comparing."""
