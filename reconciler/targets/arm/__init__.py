"""What the kinds of target in Azure Resource Manager share: permissions, commitment plans, subscriptions."""
