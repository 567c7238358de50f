"""Error codes by name, and the body that each part of the service puts them into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final
from uuid import uuid4
from xml.etree import ElementTree as ET

from reconciler.emulator.storage.errors import ERRORS


@dataclass(frozen=True)
class Code:
    """A documented error.

    Attributes:
        status: its HTTP status.
        outer: the general code, ``error.code``.
        inner: the specific one, in the details; None where there is none.
    """

    status: int
    outer: str
    inner: str | None = None

    def __str__(self) -> str:
        return self.outer if self.inner is None else f"{self.outer}/{self.inner}"


# classic-protocol 4.1, the whole table: status, error.code, codes of the details.
_EXECUTION_CLASSES: Final[tuple[tuple[int, str, str], ...]] = (
    (
        400,
        "BadArgument",
        (
            "BadParameterValue BadSubscriptionId BadVersionCall BatchJobInputsNotSpecified "
            "BatchJobInputsTooManySpecified BlobNameTooLong BlobNotFound ContainerIsEmpty ContainerSegmentInvalid "
            "ContainerValidationFailed DataTypeNotSupported DuplicateInputInBatchCall ExpiryTimeInThePast "
            "IncompleteSettings InputBlobRelativeLocationInvalid InvalidBlob InvalidBlobConnectionString "
            "InvalidBlobExtension InvalidInputNames InvalidOutputOverrideName InvalidQueryParameter "
            "MissingInputBlobInformation MissingJobId MissingKeys MissingModelPackage "
            "MissingOutputOverrideSpecification MissingRequestInput MissingRequiredGlobalParameters "
            "MissingRequiredOutputOverrides MissingWebServiceGroupId MissingWebServiceId MissingWebServicePackage "
            "MissingWorkspaceId ModelConfigurationInvalid ModelPackageIdInvalid RequestBodyInvalid RequestIsEmpty "
            "UnexpectedParameter UnknownError UserParameterInvalid WebServiceConcurrentRequestRequirementInvalid "
            "WebServiceIdInvalid WebServiceTooManyConcurrentRequestRequirement WebServiceTypeInvalid"
        ),
    ),
    (
        400,
        "BadUserArgument",
        "InputMismatchError InputParseError MissingRequiredGlobalParameters UnexpectedParameter UserParameterInvalid",
    ),
    (400, "InvalidOperation", "CannotStartJob IncompatibleModel MultipleInputsNotAllowed"),
    (400, "LibraryExecutionError", ""),
    (400, "ModuleExecutionError", ""),
    (400, "WebServicePackageError", "FormatError RuntimesError ValidationError"),
    (401, "Unauthorized", "AdminRequestUnauthorized ManagementRequestUnauthorized ScoreRequestUnauthorized"),
    (404, "NotFound", "ModelPackageNotFound WebServiceIdNotFoundInWorkspace WebServiceNotFound WorkspaceNotFound"),
    (408, "RequestTimeout", "RequestCanceled ScoreRequestTimeout"),
    (409, "Conflict", "ModelOutputMetadataMismatch"),
    (413, "MemoryQuotaViolation", "OutOfMemoryLimit"),
    (
        500,
        "InternalError",
        (
            "AdminAuthenticationFailed BackendArgumentError BackendBadRequest ClusterConfigBlobMisconfigured "
            "ContainerProcessTerminatedWithSystemError ContainerProcessTerminatedWithUnknownError "
            "ContainerValidationFailed DeleteWebServiceResourceFailed ExceptionDeserializationError "
            "FailedGettingApiDocument FailedStoringWebService InvalidMemoryConfiguration "
            "InvalidResourceCacheConfiguration InvalidResourceDownloadConfiguration InvalidWebServiceResources "
            "MissingTaskInstance ModelPackageInvalid ModuleExecutionFailed ModuleLoadFailed "
            "ModuleObjectCloneFailed OutputConversionFailed PortDataTypeNotSupported ResourceDownload "
            "ResourceLoadFailed ServiceUrisNotFound SwaggerGeneration UnexpectedScoreStatus "
            "UnknownBackendErrorResponse UnknownError UnknownJobStatusCode UnknownModuleError "
            "UpdateWebServiceResourceFailed WebServiceGroupNotFound WebServicePackageInvalid "
            "WorkerAuthorizationFailed WorkerUnreachable"
        ),
    ),
    (500, "InternalErrorSystemLowOnMemory", ""),
    (500, "ModelPackageFormatError", ""),
    (500, "WebServicePackageInternalError", "ModuleError"),
    (503, "InitializingContainers", ""),
    (
        503,
        "ServiceUnavailable",
        (
            "NoMoreResources RequestThrottled TooManyConcurrentRequests TooManyHostsBeingInitialized "
            "TooManyHostsBeingInitializedPerModel"
        ),
    ),
    (504, "GatewayTimeout", "BackendInitializationTimeout BackendScoreTimeout"),
)

EXECUTION_CODES: Final = tuple(
    Code(status, outer, inner)
    for status, outer, details in _EXECUTION_CLASSES
    for inner in (details.split() if details else [None])
)

# The codes of storage in general (Microsoft's "Common REST API error codes") that its own table has no use for.
_MORE_STORAGE_CODES: Final = {
    "AccountIsDisabled": 403,
    "InsufficientAccountPermissions": 403,
    "InternalError": 500,
    "OperationTimedOut": 500,
    "ServerBusy": 503,
}
STORAGE_CODES: Final[Mapping[str, int]] = {code: status for code, (status, _) in ERRORS.items()} | _MORE_STORAGE_CODES
_MANAGEMENT_CODES: Final = {
    "InvalidWorkspaceId": 400,  # classic-protocol 4.2
    "GetWorkspaceFailed": 500,
}
_ARM_CODES: Final = {
    "AuthorizationFailed": 403,
    "ExpiredAuthenticationToken": 401,
    "NoRegisteredProviderFound": 400,
    "ResourceGroupNotFound": 404,
    "SubscriptionNotFound": 404,
    "TooManyRequests": 429,
    "NotFound/WebServiceNotFound": 404,
    "BadRequest/CannotChangeStorageAccount": 400,
}

# Key Vault documentation, "REST API error codes", and what its client libraries' tests have.
_VAULT_CODES: Final = {
    "SecretNotFound": 404,
    "Forbidden/ForbiddenByPolicy": 403,
    "Forbidden/ForbiddenByRbac": 403,
    "Forbidden/ForbiddenByFirewall": 403,
    "Forbidden/SecretDisabled": 403,
    "Throttled": 429,
}
_KNOWN: Final[Mapping[str, int]] = {**STORAGE_CODES, **_MANAGEMENT_CODES, **_ARM_CODES, **_VAULT_CODES}


def execution_codes(name: str) -> list[Code]:
    """Return the entries of classic-protocol 4.1 by a name: ``RequestThrottled``, or ``InternalError/UnknownError``."""
    return [
        code
        for code in EXECUTION_CODES
        if name in {str(code), code.inner} or (code.inner is None and name == code.outer)
    ]


def mistake_in(name: str, status: int | None) -> str | None:
    """Why no reply can be made of a code, in words for the one who wrote it; None if one can."""
    if status is not None:
        return None
    found = execution_codes(name)
    known = _KNOWN
    if len(found) > 1:
        return f"{name} is documented more than once: write {' or '.join(map(str, found))}"
    if found or name in known:
        return None
    near = get_close_matches(name, [*(code.inner or code.outer for code in EXECUTION_CODES), *known], n=3)
    hint = f" (near: {', '.join(near)})" if near else ""
    return f"{name} is not a documented code{hint}; with a status it may be any word"


def reply_for(area: str, name: str, status: int | None, message: str | None) -> tuple[int, str, bytes, dict[str, str]]:
    """Return an error reply in the form of one part of the service.

    Args:
        area: the first word of the operation's name.
        name: the code; one that is documented if `status` is None.
        status: instead of the documented one.
        message: the sentence in it.

    Returns:
        Status, content type, body and further headers.
    """
    text = message or "This answer was ordered by a fault rule."
    documented = next(iter(execution_codes(name)), None)
    outer, _, inner = name.partition("/")
    if area == "storage":
        status = status or STORAGE_CODES.get(name) or _status_of(name, documented)
        return status, "application/xml", _xml(name, text), {"x-ms-error-code": name, "x-ms-request-id": str(uuid4())}
    if documented is not None and area in {"rrs", "batch", "execution"}:
        outer, inner = documented.outer, documented.inner or ""
    body: dict[str, Any]
    if area == "signIn":
        body = {"error": name, "error_description": text}
    elif inner and area == "keyVault":
        body = {"error": {"code": outer, "message": text, "innererror": {"code": inner}}}
    elif inner:
        body = {"error": {"code": outer, "message": text, "details": [{"code": inner, "message": text}]}}
    else:
        body = {"error": {"code": outer, "message": text}}
    return status or _status_of(name, documented), "application/json", json.dumps(body).encode(), {}


def _status_of(name: str, documented: Code | None) -> int:
    if documented is not None:
        return documented.status
    return _KNOWN[name]


def _xml(code: str, message: str) -> bytes:
    root = ET.Element("Error")
    for tag, text in (("Code", code), ("Message", message)):
        ET.SubElement(root, tag).text = text
    return b'<?xml version="1.0" encoding="utf-8"?>' + ET.tostring(root)
