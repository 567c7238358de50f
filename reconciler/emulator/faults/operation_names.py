"""What each request asks for, by one name such as ``batch.start``: for the journal, and for rules that pick requests.

A name is found from the method and the path alone, so that a request has one whether or not it is answered. The
segments of every path but those of storage take turns, a word and then a name, as in ``/workspaces/{id}/webservices``;
with the names left out, what remains is looked up in a table. What a table does not have is ``{area}.other``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from aiohttp import web

OTHER: Final = "other"
OWN_AREA: Final = "studio"
"""The emulator's own pages; no fault touches them."""

_SERVICES: Final = "workspaces/*/webservices"
_ENDPOINT: Final = f"{_SERVICES}/*/endpoints/*"
_MANAGEMENT: Final[Mapping[str, str]] = {
    f"GET {_SERVICES}": "listServices",
    f"GET {_SERVICES}/*": "getService",
    f"PUT {_SERVICES}/*": "putService",
    f"PATCH {_SERVICES}/*": "patchService",
    f"DELETE {_SERVICES}/*": "deleteService",
    f"GET {_SERVICES}/*/endpoints": "listEndpoints",
    f"GET {_ENDPOINT}": "getEndpoint",
    f"PUT {_ENDPOINT}": "putEndpoint",
    f"PATCH {_ENDPOINT}": "patchEndpoint",
    f"DELETE {_ENDPOINT}": "deleteEndpoint",
    f"POST {_ENDPOINT}/refresh": "refreshEndpoint",
    f"GET {_ENDPOINT}/apidocument": "getApiDocument",
}
_SCORING: Final[Mapping[str, str]] = {
    "POST services/*/execute": "execute",
    "GET services/*/swagger.json": "getSwagger",
}
_BATCH: Final[Mapping[str, str]] = {
    "POST services/*/jobs": "register",
    "POST services/*/jobs/*/start": "start",
    "GET services/*/jobs/*": "status",
    "DELETE services/*/jobs/*": "cancel",
}
_GROUP: Final = "subscriptions/*/resourcegroups"
_SERVICE: Final = f"{_GROUP}/*/providers/*/webservices/*"
_PLAN: Final = f"{_GROUP}/*/providers/*/commitmentplans/*"
_ASSOCIATIONS: Final = f"{_PLAN}/commitmentassociations"
_RESOURCES: Final[Mapping[str, str]] = {
    "GET subscriptions": "listSubscriptions",
    "GET subscriptions/*": "getSubscription",
    "GET subscriptions/*/resources": "listResources",
    f"GET {_GROUP}": "listResourceGroups",
    f"GET {_GROUP}/*": "getResourceGroup",
    f"HEAD {_GROUP}/*": "checkResourceGroup",
    f"PUT {_GROUP}/*": "putResourceGroup",
    f"PATCH {_GROUP}/*": "patchResourceGroup",
    f"DELETE {_GROUP}/*": "deleteResourceGroup",
    f"GET {_GROUP}/*/resources": "listResources",
    f"GET {_GROUP}/*/providers/*/permissions": "listPermissions",
    f"GET {_SERVICE}/providers/*/permissions": "listPermissions",
}
_PROVIDER: Final[Mapping[str, str]] = {
    "GET providers/*/operations": "listOperations",
    "GET subscriptions/*/providers": "listProviders",
    "GET subscriptions/*/providers/*": "getProvider",
    "GET subscriptions/*/providers/*/skus": "listSkus",
    "GET subscriptions/*/providers/*/webservices": "listWebServices",
    f"GET {_GROUP}/*/providers/*/webservices": "listWebServices",
    f"GET {_SERVICE}": "getWebService",
    f"PUT {_SERVICE}": "putWebService",
    f"PATCH {_SERVICE}": "patchWebService",
    f"DELETE {_SERVICE}": "deleteWebService",
    f"GET {_SERVICE}/listkeys": "listKeys",
    f"POST {_SERVICE}/createregionalblob": "createRegionalBlob",
    "GET subscriptions/*/providers/*/locations/*/operationsstatus/*": "pollOperation",
    "GET subscriptions/*/providers/*/locations/*/operationresults/*": "getOperationResult",
    "GET subscriptions/*/providers/*/commitmentplans": "listCommitmentPlans",
    f"GET {_GROUP}/*/providers/*/commitmentplans": "listCommitmentPlans",
    f"GET {_PLAN}": "getCommitmentPlan",
    f"PUT {_PLAN}": "putCommitmentPlan",
    f"PATCH {_PLAN}": "patchCommitmentPlan",
    f"DELETE {_PLAN}": "deleteCommitmentPlan",
    f"GET {_PLAN}/usagehistory": "getUsageHistory",
    f"GET {_ASSOCIATIONS}": "listCommitmentAssociations",
    f"GET {_ASSOCIATIONS}/*": "getCommitmentAssociation",
    f"POST {_ASSOCIATIONS}/*/move": "moveCommitmentAssociation",
}
# By method, level, restype and comp.
_STORAGE: Final[Mapping[str, str]] = {
    "GET account list": "listContainers",
    "GET account account properties": "getAccount",
    "HEAD account account properties": "getAccount",
    "GET account service properties": "getServiceProperties",
    "PUT account service properties": "setServiceProperties",
    "PUT container container": "createContainer",
    "GET container container": "getContainer",
    "HEAD container container": "getContainer",
    "DELETE container container": "deleteContainer",
    "GET container container list": "listBlobs",
    "PUT container container metadata": "setContainerMetadata",
    "GET container container acl": "getContainerAcl",
    "PUT container container acl": "setContainerAcl",
    "PUT container container lease": "leaseContainer",
    "PUT blob": "putBlob",
    "PUT blob block": "putBlock",
    "PUT blob blocklist": "putBlockList",
    "GET blob blocklist": "getBlockList",
    "GET blob": "getBlob",
    "HEAD blob": "headBlob",
    "DELETE blob": "deleteBlob",
    "PUT blob metadata": "setBlobMetadata",
    "GET blob metadata": "getBlobMetadata",
    "PUT blob properties": "setBlobProperties",
    "PUT blob lease": "leaseBlob",
    "PUT blob copy": "abortCopy",
    "PUT blob tier": "setBlobTier",
}
_VAULT: Final[Mapping[str, str]] = {"GET": "getSecret", "PUT": "setSecret"}
_SIGN_IN: Final[Mapping[str, str]] = {
    "/token": "token",
    "/openid-configuration": "discovery",
    "/discovery/instance": "instanceDiscovery",
    "/keys": "keys",
}

_EXECUTION_AREAS: Final = {"rrs": _SCORING, "batch": _BATCH}
PROVIDER_OPERATIONS: Final = frozenset(f"arm.{name}" for name in (*_PROVIDER.values(), OTHER))
"""What the resource provider Microsoft.MachineLearning answers; groups and subscriptions are Resource Manager's own."""
STUDIO_AREAS: Final = ("management.*", "rrs.*", "batch.*")
"""What Studio itself answers, on hosts of its own."""
OPERATIONS: Final = frozenset(
    f"{area}.{name}"
    for area, names in (
        ("management", _MANAGEMENT),
        *_EXECUTION_AREAS.items(),
        ("arm", _RESOURCES),
        ("arm", _PROVIDER),
        ("storage", {**_STORAGE, "": "copyBlob"}),
        ("signIn", _SIGN_IN),
        ("keyVault", _VAULT),
        ("execution", {}),
    )
    for name in (*names.values(), OTHER)
) | {OTHER}
"""Every name that a request can have, but for the emulator's own pages."""


def route_of(path: str) -> str:
    """Return the path with a star for each name in it: ``/workspaces/*/webservices``."""
    parts = path.strip("/").split("/")
    if parts[0] == "secrets":
        # A version follows the name without a word between them.
        return "/" + "/".join(["secrets", *("*" for _ in parts[1:])])
    return "/" + "/".join("*" if place % 2 else part for place, part in enumerate(parts))


def operation_of(request: web.Request, accounts: Collection[str]) -> str:
    """Return the name of what a request asks for.

    Args:
        request: it need not have a route.
        accounts: names of the storage accounts; their paths have no shape of their own.
    """
    path = request.path
    first = path.split("/", 2)[1]
    if first in accounts:
        return f"storage.{_storage_name(request)}"
    if first in {"_studio", ""}:
        return f"{OWN_AREA}.{'page' if first == '' else 'control'}"
    for end, name in _SIGN_IN.items():
        if path.endswith(end) and ("/oauth2/" in path or "/.well-known/" in path or "/discovery/" in path):
            return f"signIn.{name}"
    if first == "secrets":
        return f"keyVault.{_VAULT.get(request.method, OTHER)}"
    # A region's management host stands below a path of its own.
    return _studio_name(request.method, route_of(path)[1:].lower().removeprefix("regions/*/"))


def _studio_name(method: str, route: str) -> str:
    if route.startswith(("workspaces/*/services", "subscriptions/*/services")):
        key = f"{method} {route.partition('/*/')[2]}"
        for area, table in _EXECUTION_AREAS.items():
            if key in table:
                return f"{area}.{table[key]}"
        return f"execution.{OTHER}"
    key = f"{method} {route}"
    if route.startswith("workspaces/"):
        return f"management.{_MANAGEMENT.get(key, OTHER)}"
    if route.startswith(("subscriptions", "providers/")):
        return f"arm.{_RESOURCES.get(key) or _PROVIDER.get(key, OTHER)}"
    return OTHER


def _storage_name(request: web.Request) -> str:
    parts = request.path.strip("/").split("/", 2)
    level = ("account", "container", "blob")[len(parts) - 1]
    words = (request.method, level, request.query.get("restype", ""), request.query.get("comp", ""))
    name = _STORAGE.get(" ".join(word for word in words if word), OTHER)
    return "copyBlob" if name == "putBlob" and "x-ms-copy-source" in request.headers else name
