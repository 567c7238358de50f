"""How a call finds its execution service, and what it must show to use it (classic-protocol 2, 3; new-protocol 4)."""

from aiohttp import web

from reconciler.emulator.context import Context
from reconciler.emulator.execution.errors import bad_argument, bearer, execution_service_not_found, score_unauthorized
from reconciler.emulator.execution.services import ExecutionService, execution_path

# A subscription's id is written without dashes here; with dashes it is a path of Azure Resource Manager.
EXECUTION_ROUTE = "/{scope:workspaces|subscriptions}/{scope_id:[0-9a-fA-F]{32}}/services/{service}"
API_VERSION = "2.0"


def find_service(context: Context, request: web.Request, *, key_needed: bool = True) -> ExecutionService:
    """Return the execution service of a request.

    Args:
        context: the emulator's parts.
        request: its route is one below `EXECUTION_ROUTE`.
        key_needed: the API document is given to anyone (classic-protocol 2).

    Raises:
        ServiceError: 401 without one of the service's keys, 404 if there is no such service.
    """
    key = bearer(request)
    if key_needed and key is None:
        raise score_unauthorized()
    given = request.match_info["service"]
    path = execution_path(
        request.match_info["scope"],
        request.match_info["scope_id"].lower(),
        given.replace("-", "").lower(),
    )
    service = context.execution.find(path)
    if service is None:
        raise execution_service_not_found(given)
    if key_needed and not service.accepts(key or ""):
        raise score_unauthorized()
    return service


def check_api_version(request: web.Request) -> None:
    """Check the version, which every published call names; what happens without one is in no source."""
    given = request.query.get("api-version")
    if given != API_VERSION:
        raise bad_argument("BadVersionCall", f"The api-version is {given!r}; {API_VERSION} is the one that is served.")
