"""``python -m reconciler.cli`` is ``reconcile``."""

from reconciler.cli.app import main

main()
