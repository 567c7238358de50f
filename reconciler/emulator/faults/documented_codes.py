"""Documented error codes of all services, with their HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final


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

# Of the Blob service, and those that Microsoft lists as "Common REST API error codes" of all storage services.
STORAGE_CODES: Final[Mapping[str, int]] = {
    "AccountIsDisabled": 403,
    "AuthenticationFailed": 403,
    "AuthorizationPermissionMismatch": 403,
    "AuthorizationProtocolMismatch": 403,
    "AuthorizationResourceTypeMismatch": 403,
    "AuthorizationServiceMismatch": 403,
    "AuthorizationSourceIPMismatch": 403,
    "BlobAlreadyExists": 409,
    "BlobNotFound": 404,
    "CannotVerifyCopySource": 404,
    "ConditionNotMet": 412,
    "ContainerAlreadyExists": 409,
    "ContainerNotFound": 404,
    "EmptyMetadataKey": 400,
    "InsufficientAccountPermissions": 403,
    "InternalError": 500,
    "InvalidBlockId": 400,
    "InvalidBlockList": 400,
    "InvalidHeaderValue": 400,
    "InvalidMd5": 400,
    "InvalidMetadata": 400,
    "InvalidQueryParameterValue": 400,
    "InvalidRange": 416,
    "InvalidResourceName": 400,
    "InvalidXmlDocument": 400,
    "LeaseAlreadyPresent": 409,
    "LeaseIdMismatchWithBlobOperation": 412,
    "LeaseIdMismatchWithContainerOperation": 412,
    "LeaseIdMismatchWithLeaseOperation": 409,
    "LeaseIdMissing": 412,
    "LeaseIsBreakingAndCannotBeAcquired": 409,
    "LeaseIsBreakingAndCannotBeChanged": 409,
    "LeaseIsBrokenAndCannotBeRenewed": 409,
    "LeaseLost": 412,
    "LeaseNotPresentWithBlobOperation": 412,
    "LeaseNotPresentWithContainerOperation": 412,
    "LeaseNotPresentWithLeaseOperation": 409,
    "Md5Mismatch": 400,
    "MissingRequiredHeader": 400,
    "MissingRequiredQueryParameter": 400,
    "NoPendingCopyOperation": 409,
    "OperationTimedOut": 500,
    "OutOfRangeInput": 400,
    "RequestBodyTooLarge": 413,
    "ServerBusy": 503,
    "SourceConditionNotMet": 412,
    "UnauthorizedBlobOverwrite": 403,
    "UnsatisfiableCondition": 400,
    "UnsupportedHeader": 400,
    "UnsupportedHttpVerb": 405,
    "UnsupportedQueryParameter": 400,
}
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


def code_error(name: str, status: int | None) -> str | None:
    """Return why a rule cannot use a code, for its author to read; None if it can."""
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


def resolve(area: str, name: str, status: int | None) -> tuple[int, str, str]:
    """Return the status, the general code and the specific code ("" if there is none) of an error reply.

    Args:
        area: the first word of the operation's name.
        name: the code; a documented one if `status` is None.
        status: instead of the documented one.
    """
    documented = next(iter(execution_codes(name)), None)
    if area == "storage" and name in STORAGE_CODES:
        return status or STORAGE_CODES[name], name, ""
    if status is None:
        status = _KNOWN[name] if documented is None else documented.status
    if area == "storage":
        return status, name, ""
    if documented is not None and area in {"rrs", "batch", "execution"}:
        return status, documented.outer, documented.inner or ""
    outer, _, inner = name.partition("/")
    return status, outer, inner
