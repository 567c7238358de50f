"""A plan as people and programs read it: text for a terminal, Markdown for a pull request, JSON."""

from __future__ import annotations

import json

from reconciler.plan.document import Plan
from reconciler.plan.render.markdown import markdown
from reconciler.plan.render.text import text

__all__ = ["json_text", "markdown", "text"]


def json_text(plan: Plan) -> str:
    """Return the plan document (`reconciler.plan.document`), in ASCII so that no name can steer a terminal."""
    return json.dumps(plan.model_dump(mode="json"), indent=2) + "\n"
