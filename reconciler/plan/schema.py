"""The published JSON Schema of the plan document: what ``reconcile schema plan`` prints."""

from __future__ import annotations

from typing import Any

from reconciler.plan.document import FORMAT_VERSION, Plan

_DESCRIPTION = (
    "A plan of reconcile. A reader ignores members that it does not know as long as the first number of"
    " format_version is one that it knows, and refuses another. Codes of reasons and problems are an open"
    " set. The digest covers everything but itself, created_at, preflight and every step's estimate_seconds."
)


def plan_schema() -> dict[str, Any]:
    """The schema of the document that ``--output json`` writes, as draft 2020-12."""
    schema = Plan.model_json_schema(mode="serialization")
    schema["properties"]["format_version"]["pattern"] = rf"^{FORMAT_VERSION.partition('.')[0]}\.[0-9]+$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Plan",
        "description": _DESCRIPTION,
    }
