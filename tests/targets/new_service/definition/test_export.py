"""What is exported of what, before anything is asked."""

from __future__ import annotations

import pytest

from reconciler.cli.commands.export import export
from reconciler.cli.errors import UserError

GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/Microsoft.MachineLearning"


@pytest.mark.parametrize("given", ["/", "/subscriptions/x", f"{GROUP}/commitmentPlans/p", f"{GROUP}/webServices/a?b"])
def test_what_is_no_web_service_is_not_asked_for(given):
    """Resource Manager's answers to such paths read as if the service were retired."""
    with pytest.raises(UserError, match="is not the resource id of a New web service; allowed: /subscriptions/<guid>"):
        export(given, cloud="no-such-cloud")
