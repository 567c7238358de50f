"""Errors of the local storage account, by the codes that the Blob service gives them."""

from __future__ import annotations

from typing import Final

from reconciler.emulator.faults.documented_codes import STORAGE_CODES

_SIGNATURE: Final = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
    "correctly including the signature."
)

MESSAGES: Final[dict[str, str]] = {
    "AuthenticationFailed": _SIGNATURE,
    "AuthorizationPermissionMismatch": (
        "This request is not authorized to perform this operation using this permission."
    ),
    "AuthorizationProtocolMismatch": "This request is not authorized to perform this operation using this protocol.",
    "AuthorizationResourceTypeMismatch": (
        "This request is not authorized to perform this operation using this resource type."
    ),
    "AuthorizationServiceMismatch": "This request is not authorized to perform this operation using this service.",
    "AuthorizationSourceIPMismatch": "This request is not authorized to perform this operation using this source IP.",
    "BlobAlreadyExists": "The specified blob already exists.",
    "BlobNotFound": "The specified blob does not exist.",
    "CannotVerifyCopySource": "The specified resource does not exist.",
    "ConditionNotMet": "The condition specified using HTTP conditional header(s) is not met.",
    "ContainerAlreadyExists": "The specified container already exists.",
    "ContainerNotFound": "The specified container does not exist.",
    "EmptyMetadataKey": "The key for one of the metadata key-value pairs is empty.",
    "InvalidBlockId": "The specified block ID is invalid. The block ID must be Base64-encoded.",
    "InvalidBlockList": "The specified block list is invalid.",
    "InvalidHeaderValue": "The value for one of the HTTP headers is not in the correct format.",
    "InvalidMd5": "The MD5 value specified in the request is invalid. It must be 128 bits, Base64-encoded.",
    "InvalidMetadata": "The metadata specified is invalid. It has characters that are not permitted.",
    "InvalidQueryParameterValue": "Value for one of the query parameters specified in the request URI is invalid.",
    "InvalidRange": "The range specified is invalid for the current size of the resource.",
    "InvalidResourceName": "The specified resource name contains invalid characters.",
    "InvalidXmlDocument": "XML specified is not syntactically valid.",
    "LeaseAlreadyPresent": "There is already a lease present.",
    "LeaseIdMismatchWithBlobOperation": "The lease ID specified did not match the lease ID for the blob.",
    "LeaseIdMismatchWithContainerOperation": "The lease ID specified did not match the lease ID for the container.",
    "LeaseIdMismatchWithLeaseOperation": "The lease ID specified did not match the lease ID for the container or blob.",
    "LeaseIdMissing": "There is currently a lease on the resource and no lease ID was specified in the request.",
    "LeaseIsBreakingAndCannotBeAcquired": (
        "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken."
    ),
    "LeaseIsBreakingAndCannotBeChanged": (
        "The lease ID matched, but the lease is currently in breaking state and cannot be changed."
    ),
    "LeaseIsBrokenAndCannotBeRenewed": (
        "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."
    ),
    "LeaseLost": "A lease ID was specified, but the lease for the resource has expired.",
    "LeaseNotPresentWithBlobOperation": "There is currently no lease on the blob.",
    "LeaseNotPresentWithContainerOperation": "There is currently no lease on the container.",
    "LeaseNotPresentWithLeaseOperation": "There is currently no lease on the container or blob.",
    "Md5Mismatch": "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
    "MissingRequiredHeader": "An HTTP header that's mandatory for this request is not specified.",
    "MissingRequiredQueryParameter": "A query parameter that's mandatory for this request is not specified.",
    "NoPendingCopyOperation": "There is currently no pending copy operation.",
    "OutOfRangeInput": "One of the request inputs is out of range.",
    "RequestBodyTooLarge": "The request body is too large and exceeds the maximum permissible limit.",
    "SourceConditionNotMet": "The source condition specified using HTTP conditional header(s) is not met.",
    "UnauthorizedBlobOverwrite": "This request is not authorized to perform blob overwrites.",
    "UnsatisfiableCondition": "The request includes an unsatisfiable condition for this operation.",
    "UnsupportedHeader": "One of the HTTP headers specified in the request is not supported.",
    "UnsupportedHttpVerb": "The resource doesn't support specified Http Verb.",
    "UnsupportedQueryParameter": "One of the query parameters specified in the request URI is not supported.",
}


class StorageError(Exception):
    """A request that the storage account refuses.

    Attributes:
        code: the Blob service's error code, also sent as ``x-ms-error-code``.
        status: the HTTP status that goes with it.
        message: the Blob service's sentence for the code.
        detail: what exactly was wrong; never holds a signature or a key.
    """

    def __init__(self, code: str, detail: str | None = None, *, status: int | None = None) -> None:
        message = MESSAGES[code]
        super().__init__(f"{code}: {detail or message}")
        self.code = code
        self.status = status or STORAGE_CODES[code]
        self.message = message
        self.detail = detail
