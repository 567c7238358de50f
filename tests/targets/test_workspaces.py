"""What stands in the way of a workspace is told by the answer to the list of its web services."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.azure.errors import NotFound, ServiceError
from reconciler.targets.workspaces import workspace_problem

NOBODY: Any = None
"""No connections are needed: nothing else is asked."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("a web page, 'Gateway'", status=404), "retired"),
        (ServiceError("the answer has no body", status=410), "retired"),
        (NotFound("the answer has no body", status=404), "workspace-unreadable"),
        (NotFound("a web page, 'Gateway'", status=404, code="SomethingElse"), "workspace-unreadable"),
    ],
)
async def test_what_no_management_api_would_answer_is_the_retirement(error, code):
    """Also where storage answers beside it on one host, as in the local Studio, so that the host is known to live."""
    problem = await workspace_problem(NOBODY, "contoso", error)
    assert problem.code == code
    assert ("31 August 2024" in problem.message) == (code == "retired")
