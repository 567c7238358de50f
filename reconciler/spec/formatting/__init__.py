"""The one form of spec files that ``reconcile fmt`` writes."""
