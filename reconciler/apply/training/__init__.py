"""A missing version made usable: its inputs, its job and what comes of it."""
