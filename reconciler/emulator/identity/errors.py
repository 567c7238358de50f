"""Errors of the token endpoint."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(eq=False)
class SignInRefused(Exception):
    """An OAuth error (RFC 6749, 5.2) with the number that the identity platform gives it."""

    status: int
    error: str
    number: int
    description: str

    def __str__(self) -> str:
        return f"AADSTS{self.number}: {self.description}"

    def body(self, timestamp: str, trace_id: str, correlation_id: str) -> dict[str, Any]:
        """Return the JSON body."""
        return {
            "error": self.error,
            "error_description": f"{self} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}",
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }


def sign_in_error_reply(status: int, code: str, _: str, message: str) -> web.Response:
    """Return an error that a fault rule orders."""
    return web.json_response({"error": code, "error_description": message}, status=status)


def invalid_client(number: int, description: str) -> SignInRefused:
    """Return the refusal of a client that did not prove who it is."""
    return SignInRefused(401, "invalid_client", number, description)


def missing_parameter(name: str) -> SignInRefused:
    """Return the refusal of a form that lacks a parameter."""
    message = f"The request body must contain the following parameter: '{name}'."
    return SignInRefused(400, "invalid_request", 900144, message)


def tenant_not_found(tenant: str) -> SignInRefused:
    """Return the refusal of an unknown directory."""
    message = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
    return SignInRefused(400, "invalid_request", 90002, message)
