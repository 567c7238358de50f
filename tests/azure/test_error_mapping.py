"""Error answers of every form that was seen, and what must never be in a message."""

from __future__ import annotations

import json

import pytest

from reconciler.azure.error_mapping import Call, error_of, read_error_body, seconds_after
from reconciler.azure.errors import (
    Conflict,
    NotFound,
    Retired,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Throttled,
    redact,
)

CALL = Call(
    "list endpoints of web service 1f2e", "https://management.azureml.net/workspaces/w/webservices?sig=abc", "own-1"
)


def test_the_error_of_the_execution_api_gives_code_message_and_detail_codes():
    """classic-protocol 4.1"""
    body = read_error_body(
        json.dumps(
            {
                "error": {
                    "code": "Unauthorized",
                    "message": "Unauthorized.",
                    "details": [{"code": "ScoreRequestUnauthorized", "message": "Invalid credentials provided."}],
                }
            }
        )
    )

    assert body.code == "Unauthorized"
    assert body.message == "Unauthorized. Invalid credentials provided."
    assert body.detail_codes == ("ScoreRequestUnauthorized",)


def test_the_letter_case_of_members_does_not_matter():
    """classic-protocol 4.2: the studio API writes PascalCase."""
    body = read_error_body('{"Error": {"Code": "X", "Message": "m", "Target": null, "Details": [{"Code": "Y"}]}}')

    assert (body.code, body.message, body.detail_codes) == ("X", "m", ("Y",))


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('{"code": "X", "message": "m"}', "X", "m"),
        ('{"errorInfo": {"code": "X", "message": "m"}}', "X", "m"),
        ('{"error": {"code": "X", "message": "m", "details": null}}', "X", "m"),
        ('{"error": {"code": "X", "message": "m", "details": ["odd", {"code": null}]}}', "X", "m"),
        ('{"error": "invalid_client", "error_description": "d"}', "invalid_client", "d"),
        (
            "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code><Message>m</Message></Error>",
            "AuthenticationFailed",
            "m",
        ),
        ("<html><head><title>502 Bad\n Gateway</title></head></html>", "", "a web page, '502 Bad Gateway'"),
        ("<html>", "", "a web page"),
        ("Something went wrong. Request id 4711", "", "Something went wrong. Request id 4711"),
        ('"just a text"', "", "just a text"),
        ("", "", ""),
        ("null", "", ""),
        ("{}", "", ""),
        ("[1, 2]", "", "[1, 2]"),
        ('{"error": 7}', "", '{"error": 7}'),
        ('{"Message": "An error has occurred."}', "", "An error has occurred."),
        ("{broken", "", "{broken"),
        ("[" * 100_000, "", "[" * 500 + "…"),
    ],
)
def test_no_error_body_is_too_odd_to_be_read(text, code, message):
    body = read_error_body(text)

    assert (body.code, body.message) == (code, message)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServiceError),
        (401, SignInError),
        (403, SignInError),
        (404, NotFound),
        (408, ServiceUnavailable),
        (409, Conflict),
        (412, Conflict),
        (429, Throttled),
        (500, ServiceUnavailable),
        (503, ServiceUnavailable),
        (504, ServiceUnavailable),
    ],
)
def test_the_status_decides_the_kind_of_error(status, kind):
    assert type(error_of(CALL, status, '{"error": {"code": "X", "message": "m"}}', {})) is kind


@pytest.mark.parametrize("detail", ["RequestThrottled", "TooManyConcurrentRequests"])
def test_a_503_that_means_throttling_is_throttling(detail):
    """classic-protocol 4.3: the documented throttle is a 503."""
    text = json.dumps({"error": {"code": "ServiceUnavailable", "message": "m", "details": [{"code": detail}]}})

    assert type(error_of(CALL, 503, text, {})) is Throttled


@pytest.mark.parametrize("code", ["NoRegisteredProviderFound", "InvalidResourceType", "InvalidResourceNamespace"])
def test_a_resource_manager_that_does_not_know_the_provider_is_the_retirement(code):
    error = error_of(
        CALL, 400, json.dumps({"error": {"code": code, "message": "No registered resource provider found."}}), {}
    )

    assert type(error) is Retired
    assert "No registered resource provider found. Microsoft retired" in str(error)


def test_a_message_names_operation_status_codes_words_and_request():
    text = '{"error": {"code": "NotFound", "message": "It is not here.", "details": [{"code": "WebServiceNotFound"}]}}'

    error = error_of(CALL, 404, text, {"x-ms-request-id": "r-7"})

    assert str(error) == (
        "list endpoints of web service 1f2e: 404 NotFound/WebServiceNotFound: It is not here. [request r-7]"
    )


def test_without_a_request_id_of_the_service_ours_is_named():
    assert error_of(CALL, 500, "", {}).request_id == "own-1"


def test_an_empty_answer_is_said_to_be_empty():
    assert "500: the response has no message" in str(error_of(CALL, 500, "", {}))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert seconds_after({"Retry-After": value}, now=60.0) == seconds


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("got ?sv=2021&sr=b&sig=aB%2Fc%3D&se=x", "aB%2Fc"),
        ("got sig%3DaBc", "aBc"),
        ("blob https://a.blob.core.windows.net/c/n?sv=1&sig=abc could not be read", "sig=abc"),
        ("blob https://a.blob.core.windows.net/c/n?se=2026&sp=r could not be read", "2026"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9v/+=;EndpointSuffix=x", "Zm9v"),
        ("Authorization: Bearer eyJ0.eyJ1.sig", "eyJ0"),
        ("Authorization: SharedKey account:Zm9v=", "Zm9v"),
        ('{"PrimaryKey": "pk-1"}', "pk-1"),
        ('{"SasBlobToken":"?sv=1"}', "sv=1"),
        ('{"access_token": "t0k"}', "t0k"),
        ("client_secret=s3cret&grant_type=x", "s3cret"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_a_services_words(text, secret):
    error = error_of(CALL, 400, json.dumps({"error": {"code": "BadArgument", "message": text}}), {})

    assert secret not in str(error)
    assert secret not in repr(error)
    assert secret not in error.message
    assert "***" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "The blob container/models/x.ilearner was not found.",
        "https://a.blob.core.windows.net/c/n is gone",
        "signal=7",
        "The key is wrong.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_redacting_twice_changes_nothing_more():
    once = redact("https://a/b?sig=x AccountKey=y Bearer z")

    assert redact(once) == once
