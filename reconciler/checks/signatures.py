"""Reads how long the signatures of ready-made versions hold. Nothing is sent, unless to the vault that has one."""

from __future__ import annotations

from reconciler.plan.preflight.facts import Signature
from reconciler.plan.preflight.signatures import read_signature
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.connections import Connections


async def look_at_signature(connections: Connections, model: str, label: str) -> Signature | None:
    """That of a ready-made version; None if it comes with none."""
    ready = connections.fleet.models[model].spec.versions.get(label)
    if ready is None or ready.location.sas_token is None:
        return None
    subject = f"version {label} of model {model}"
    try:
        base = connections.fleet.base_dir_of("Model", model)
        token = await connections.secret(
            ready.location.sas_token, base, wanted_for=f"Model {model}, spec.versions.{label}.location.sasToken"
        )
    except MissingSecret as error:
        return Signature(subject, problem=f"its SAS can't be had: {error}")
    return read_signature(subject, token.get_secret_value())
