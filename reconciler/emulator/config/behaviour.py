"""What the emulator does where sources are silent or disagree: one setting for each such question.

The sources are classic-protocol (its marks [U] and [I], its contradictions in section 8) and new-protocol ("Not found /
still open"). A setting's default is what they make most likely; `reconciler.emulator.config.profiles` says what the
others are for. What a captured reply or a source confirms is not a setting.
"""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.emulator.config.profiles import setting
from reconciler.emulator.config.settings import Settings


class Behaviour(Settings):
    """The section ``behaviour`` of a studio file."""

    # -- Classic, management API: what a read shows (classic-protocol 1.3 to 1.5)

    bound_location: Literal["absent", "null", "shown", "copy"] = setting(
        "absent",
        "`Resources[].Location` is in the schema and in no captured reply; it may be an internal copy's.",
        hostile="copy",
    )
    location_signature: Literal["absent", "null", "fresh"] = setting(
        "absent", "Whether a shown `Location` has a `SasBlobToken` is as unknown as the location.", hostile="fresh"
    )
    show_resources_in_list: bool = setting(
        False, "The one captured listing has 13 members, and `Resources` is not among them.", hostile=True
    )
    training_resources: Literal["absent", "empty", "braces"] = setting(
        "absent", "What cannot be patched was seen as no `Resources`, empty ones, or the name `{}`.", hostile="braces"
    )
    model_version: Literal["absent", "fixed", "moves"] = setting(
        "absent", "`Version` was in no captured reply, and whether a PATCH moves it is unknown.", hostile="moves"
    )
    null_members: Literal["omitted", "null"] = setting(
        "omitted", "Members without a value were left out of one captured reply and null in another.", hostile="null"
    )
    empty_list: Literal["noContent", "array", "null"] = setting(
        "noContent", "204 is declared for an empty list; one client tests for `null`.", hostile="null"
    )
    absent_endpoint: Literal[404, 204, "null"] = setting(
        404, "GET of an endpoint that does not exist: both 404 and 204 are declared.", terse=204, hostile="null"
    )
    read_after_patch: Literal["atOnce", "delayed"] = setting(
        "atOnce", "Whether GET shows a PATCH before it has taken effect is unknown.", hostile="delayed"
    )
    shown_calls: Literal["asPut", "tuned"] = setting(
        "asPut", "The service is said to tune `MaxConcurrentCalls` itself, whatever was PUT.", hostile="tuned"
    )

    # -- Classic, management API: writes (classic-protocol 1.6 to 1.9)

    put_existing: Literal["upsert", "conflict", "refused"] = setting(
        "upsert",
        "PUT of an endpoint that exists may change it, or be a 409, or a 400.",
        terse="conflict",
        hostile="refused",
    )
    create_status: Literal[201, 200] = setting(
        201, "The status of a PUT that made an endpoint is in no source; clients take any 2xx.", terse=200
    )
    patch_reply: Literal["empty", "noContent", "object"] = setting(
        "empty",
        "A PATCH may answer 200 without body, 204, or 200 with the endpoint.",
        terse="noContent",
        hostile="object",
    )
    limits_patch: Literal["taken", "ignored"] = setting(
        "taken",
        "That PATCH takes `ThrottleLevel` and `MaxConcurrentCalls` is inferred from commented-out code.",
        terse="ignored",
        hostile="ignored",
    )
    patch_after_create: Literal["accepted", "notYet"] = setting(
        "accepted", "Whether an endpoint can be patched right after its PUT is unknown.", hostile="notYet"
    )
    patched_model: Literal["copied", "readAtEachLoad"] = setting(
        "copied",
        "Whether the blob is copied is unknown; that it is follows from tokens of 24 h.",
        hostile="readAtEachLoad",
    )
    patched_resources: Literal["merged", "replaced"] = setting(
        "merged",
        "Every sample patches the only resource; whether others that a PATCH leaves out are kept is unknown.",
        hostile="replaced",
    )
    default_calls: Literal["byThrottleLevel", "byTier"] = setting(
        "byThrottleLevel",
        "Without a number, level Low gives 4 by one source, a paid tier 20 by another.",
        hostile="byTier",
    )
    endpoint_names: Literal["hyphens", "alphanumeric"] = setting(
        "hyphens",
        "The API's own description allows hyphens inside a name, the portal does not.",
        hostile="alphanumeric",
    )
    resource_names: Literal["exact", "anyCase"] = setting(
        "exact", "Whether the letter case of `Resources[].Name` counts is not stated."
    )
    prevent_update: Literal["ignored", "enforced"] = setting(
        "ignored", "`PreventUpdate` exists, and nothing says what it does.", hostile="enforced"
    )
    overwrite_resources: Literal["both", "string", "boolean"] = setting(
        "both", "One client sends `OverwriteResources` as a string, another as a boolean.", hostile="string"
    )
    delete_absent_endpoint: Literal[404, 204] = setting(
        404, "DELETE of an endpoint that does not exist is in no source.", terse=204
    )
    delete_status: Literal[204, 200, 202] = setting(204, "The status of a DELETE is known as 2xx only.", hostile=202)

    # -- Classic, management API: access and errors (classic-protocol 1.1, 1.2, 4)

    endpoint_key: Literal["getOneAndPatch", "all", "getOnly"] = setting(
        "getOneAndPatch",
        "An endpoint's own key opens GET of it, by one source, or every operation on it, by another.",
        terse="getOnly",
        hostile="getOnly",
    )
    unknown_workspace: Literal["notFound", "getWorkspaceFailed"] = setting(
        "notFound",
        "A workspace of another region was answered 404 `WorkspaceNotFound` and 500 `GetWorkspaceFailed`.",
        hostile="getWorkspaceFailed",
    )
    management_api_version: Literal["ignored", "refused"] = setting(
        "ignored",
        "No client sends an `api-version` to the management API; what it would do is unknown.",
        hostile="refused",
    )
    error_details: Literal["shown", "omitted"] = setting(
        "shown", "The specific code is in `error.details`, which not every reply has.", terse="omitted"
    )
    error_casing: Literal["camel", "pascal"] = setting(
        "camel", "The Studio API writes its error bodies in PascalCase.", hostile="pascal"
    )
    unauthorized: Literal["json", "text"] = setting(
        "json", "Some replies with 401 were plain text with a request id.", terse="text", hostile="text"
    )
    error_request_id: Literal["shown", "absent"] = setting(
        "shown", "`x-ms-request-id` is declared for success alone.", terse="absent"
    )
    throttle_status: Literal[503, 429] = setting(
        503, "Throttling is documented as 503; no 429 is in any source, nor ruled out.", hostile=429
    )
    retry_after: Literal["absent", "seconds", "date"] = setting(
        "absent", "No source shows a `Retry-After`, which is a number or a date.", hostile="date"
    )

    # -- batch execution and scoring (classic-protocol 2, 3)

    start_status: Literal[204, 200] = setting(
        204, "204 in the service's own swagger document, 200 in an API Management page.", hostile=200
    )
    status_codes: Literal["names", "numbers", "numericStrings"] = setting(
        "names",
        "`StatusCode` is a name in the schema and a number in a capture; clients expect its text too.",
        terse="numbers",
        hostile="numericStrings",
    )
    cancelled_spelling: Literal["Cancelled", "Canceled"] = setting(
        "Cancelled", "Most sources write two l's; a guide and a client's loop have one.", hostile="Canceled"
    )
    queued_job_status: Literal["Running", "NotStarted"] = setting(
        "Running", "There are five states, and none is called queued.", terse="NotStarted", hostile="NotStarted"
    )
    unknown_job: Literal["notFound", "missingJobId", "unknownJobStatusCode"] = setting(
        "notFound",
        "The documented codes have none for a job that is not known: 404, 400 or 500 may be meant.",
        terse="missingJobId",
        hostile="unknownJobStatusCode",
    )
    deleted_job: Literal["keeps", "erases"] = setting(
        "keeps",
        "DELETE of a job is called cancel by one source and delete by another.",
        terse="erases",
        hostile="erases",
    )
    result_signature: Literal["questionMark", "bare"] = setting(
        "questionMark", "A `SasBlobToken` was seen with its `?`; clients cope with both.", terse="bare", hostile="bare"
    )
    location_slashes: Literal["base", "relative", "both", "neither"] = setting(
        "base",
        "`BaseLocation` was seen with and without a last slash, `RelativeLocation` with and without a first one.",
        terse="neither",
        hostile="both",
    )
    first_scoring_call: Literal["answers", "initializing"] = setting(
        "answers",
        "The first call after idle may be a 503 `InitializingContainers`; how often is unknown.",
        hostile="initializing",
    )

    # -- New web services (new-protocol 1 to 3)

    patch_assets: Literal["merge", "replace"] = setting(
        "merge", "A merge is recorded for `keys` alone; inside `assets` it is not confirmed.", hostile="replace"
    )
    patch_package: Literal["merge", "replace"] = setting(
        "merge", "The same for `package`, `input`, `output` and the other objects of a definition.", hostile="replace"
    )
    patch_tags: Literal["replace", "merge"] = setting(
        "replace", "Whether tags that a PATCH leaves out stay is not confirmed.", hostile="merge"
    )
    write_while_provisioning: Literal["conflict", "queue", "lastWins"] = setting(
        "conflict", "What a second write does while one is under way is not found.", terse="lastWins", hostile="queue"
    )
    list_page_size: Annotated[int, Field(ge=1)] = setting(
        1000, "The size of a page of Azure Resource Manager's lists is not found.", hostile=1
    )
    definition_casing: Literal["camel", "pascal"] = setting(
        "camel", "A definition that came from a blob was echoed in the blob's own PascalCase.", hostile="pascal"
    )
    definition_nulls: Literal["omitted", "null"] = setting(
        "omitted", "What GET does not show is absent in most recordings and was null in one.", hostile="null"
    )
    operation_failure: Literal["error", "errorInfo", "bare"] = setting(
        "error",
        "The body of a failed operation is in no recording; the specification calls its error `errorInfo`.",
        terse="bare",
        hostile="errorInfo",
    )
    read_only_refusal: Literal[400, 409] = setting(
        400, "How a write to a read-only service is refused is not found.", hostile=409
    )
    foreign_model: Literal["both", "sas", "credentials"] = setting(
        "both",
        "A model in another account may need a SAS in its uri, or `credentials`; no public recording.",
        hostile="sas",
    )
