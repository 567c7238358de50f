"""Asks what can be known before anything starts: for a plan's preflight, and for ``reconcile doctor``.

Nothing here changes anything, and nothing is raised for a reply of a service: what cannot be asked is unknown.
The judging is pure and stands in `reconciler.plan.checks`.
"""
