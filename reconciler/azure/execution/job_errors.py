"""Whether trying again can help, by the service's own error codes (classic-protocol 4.1).

A failed job has its reason in ``Details``, a text (classic-protocol 3); a refused call has codes of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.azure.errors import (
    LostReply,
    ServiceError,
    ServiceUnavailable,
    StudioError,
    Throttled,
    Unreachable,
)

# The classes of the table whose failures may be gone the next time: what is wrong is the service's state.
_PASSING = frozenset(
    {
        "RequestTimeout",
        "InternalError",
        "InternalErrorSystemLowOnMemory",
        "InitializingContainers",
        "ServiceUnavailable",
        "GatewayTimeout",
    }
)
# The classes in which the request, the data or the experiment is wrong: the same will fail in the same way.
_LASTING = frozenset(
    {
        "BadArgument",
        "BadUserArgument",
        "InvalidOperation",
        "LibraryExecutionError",
        "ModuleExecutionError",
        "WebServicePackageError",
        "Unauthorized",
        "NotFound",
        "Conflict",
        "MemoryQuotaViolation",
        "ModelPackageFormatError",
        "WebServicePackageInternalError",
    }
)
# Codes of details, which a job's text may have without their class. UnknownError is in two classes, and left out.
_PASSING_DETAILS = frozenset(
    {
        "BackendBadRequest",
        "BackendInitializationTimeout",
        "BackendScoreTimeout",
        "ContainerProcessTerminatedWithSystemError",
        "ContainerProcessTerminatedWithUnknownError",
        "NoMoreResources",
        "RequestCanceled",
        "RequestThrottled",
        "ResourceDownload",
        "ScoreRequestTimeout",
        "ServiceUrisNotFound",
        "TooManyConcurrentRequests",
        "TooManyHostsBeingInitialized",
        "TooManyHostsBeingInitializedPerModel",
        "UnknownBackendErrorResponse",
        "WorkerAuthorizationFailed",
        "WorkerUnreachable",
    }
)
_LASTING_DETAILS = frozenset(
    {
        "BadParameterValue",
        "BatchJobInputsNotSpecified",
        "BatchJobInputsTooManySpecified",
        "BlobNameTooLong",
        "BlobNotFound",
        "ContainerIsEmpty",
        "ContainerNotFound",
        "DataTypeNotSupported",
        "DuplicateInputInBatchCall",
        "ExpiryTimeInThePast",
        "IncompatibleModel",
        "InputBlobRelativeLocationInvalid",
        "InputMismatchError",
        "InputParseError",
        "InvalidBlob",
        "InvalidBlobConnectionString",
        "InvalidBlobExtension",
        "InvalidInputNames",
        "InvalidOutputOverrideName",
        "InvalidWebServiceResources",
        "MissingRequestInput",
        "MissingRequiredGlobalParameters",
        "MissingRequiredOutputOverrides",
        "ModelOutputMetadataMismatch",
        "ModelPackageInvalid",
        "ModelPackageNotFound",
        "ModuleError",
        "MultipleInputsNotAllowed",
        "OutOfMemoryLimit",
        "OutputConversionFailed",
        "PortDataTypeNotSupported",
        "ScoreRequestUnauthorized",
        "UnexpectedParameter",
        "UserParameterInvalid",
        "WebServiceNotFound",
        "WebServicePackageInvalid",
    }
)

_MEANING = {
    code.lower(): again
    for group, again in (
        (_PASSING, True),
        (_LASTING, False),
        (_PASSING_DETAILS, True),
        (_LASTING_DETAILS, False),
    )
    for code in group
}
_WORD = re.compile(r"[A-Za-z]{6,}")


def can_help(failure: str | StudioError) -> bool | None:
    """Whether doing the same again may succeed; None if nothing that is known tells.

    Args:
        failure: A job's ``Details``, or what a call raised. A code of details says more than its class, and in a text
            the first code counts.
    """
    if isinstance(failure, str):
        return _by_code(_WORD.findall(failure))
    if not isinstance(failure, ServiceError):
        return False
    told = _by_code(failure.detail_codes)
    if told is None:
        told = _by_code((failure.code,))
    if told is None:
        told = isinstance(failure, LostReply | Unreachable | Throttled | ServiceUnavailable)
    return told


def _by_code(codes: Iterable[str]) -> bool | None:
    return next((_MEANING[code.lower()] for code in codes if code.lower() in _MEANING), None)


def advice(again: bool | None) -> str:
    """`can_help` in words, for the end of a message."""
    return {
        True: "a retry may help",
        False: "a retry will not help",
        None: "whether a retry can help is unknown",
    }[again]
