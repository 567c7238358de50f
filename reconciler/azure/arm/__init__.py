"""Azure Resource Manager: New web services, commitment plans, permissions and sign-in."""
