"""What users write: the documents of a spec tree, read with all of their errors at once."""
