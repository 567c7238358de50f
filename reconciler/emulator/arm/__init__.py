"""Azure Resource Manager: New web services, commitment plans, resource groups and roles."""
