"""What Azure Resource Manager can be asked before anything starts."""
