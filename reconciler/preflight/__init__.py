"""Asks what can be known before anything starts: for a plan's preflight, and for ``reconcile doctor``.

Nothing here changes anything, and nothing is raised for what a service answers: what can't be asked is told as unknown.
The judging is pure and stands in `reconciler.plan.checks`.
"""
