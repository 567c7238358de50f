"""Faults on demand: rules that make the emulator fail, deterministic from a seed.

A test uses it as a library, on an emulator that runs or is about to::

    async with Studio() as studio:
        studio.faults.add(Rule(operation="batch.register", nth=1, drop="after"))
        ...                       # the first registration is lost; the job exists
        first, second = studio.journal.entries(operation="batch.register")
        assert (first.fault, second.fault) == ("rule-1: drop after", "")
        studio.faults.clear()

The same rules come from a YAML file (``reconcile emulator --faults FILE``) or through ``/_studio/faults``.
``reconciler/emulator/README.md`` has the table of effects.
"""

from reconciler.emulator.faults.registry import Faults
from reconciler.emulator.faults.rule_file import FaultsFileError, RuleFile, load_rules
from reconciler.emulator.faults.rules import Answer, JobFault, Rule, Trickle

__all__ = ["Answer", "Faults", "FaultsFileError", "JobFault", "Rule", "RuleFile", "Trickle", "load_rules"]
