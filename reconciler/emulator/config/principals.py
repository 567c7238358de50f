"""The service principals of a studio file: who may sign in, by what means, and what each may do where."""

import uuid
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, StringConstraints, model_validator

from reconciler.emulator.config.types import EnvironmentName, Guid, Section


def _without_slash(value: object) -> object:
    return value.rstrip("/") or "/" if isinstance(value, str) else value


Scope = Annotated[
    str,
    BeforeValidator(_without_slash),
    StringConstraints(
        pattern=r"(?i)^(/|/subscriptions/[^/]+(/resourceGroups/[^/]+(/providers/[^/]+/[^/]+/[^/]+)?)?)$",
    ),
]
ActionPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.*]+(/[A-Za-z0-9.*]+)*$")]


class RoleAssignment(Section):
    """A role on a scope and on everything below it: a built-in one, or a list of actions."""

    scope: Scope = "/"
    role: Literal["Owner", "Contributor", "Reader"] | None = None
    actions: tuple[ActionPattern, ...] = ()
    not_actions: tuple[ActionPattern, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.role is None) == (not self.actions):
            raise ValueError("give either role or actions")
        if self.role is not None and self.not_actions:
            raise ValueError("notActions goes with actions")
        return self


class FederatedIdentity(Section):
    """A Kubernetes service account whose tokens are accepted in place of a secret."""

    subject: Annotated[str, StringConstraints(pattern=r"^system:serviceaccount:[a-z0-9.-]+:[a-z0-9.-]+$")]
    token_file_env: EnvironmentName


class Principal(Section):
    """A service principal.

    Attributes:
        tenant_id: Its directory.
        client_id: Its application id.
        client_secret_env: Under which name its secret is in the env file. Without it the principal has no secret,
            except for the first one of the file, whose secret is ``AZURE_CLIENT_SECRET``.
        certificate_env: Under which name the path of its certificate, with the private key, is in the env file.
        federated: Whose tokens are accepted as its own.
        roles: What it may do; everything, if it is left out.
    """

    tenant_id: Guid
    client_id: Guid
    client_secret_env: EnvironmentName | None = None
    certificate_env: EnvironmentName | None = None
    federated: FederatedIdentity | None = None
    roles: tuple[RoleAssignment, ...] = (RoleAssignment(role="Owner"),)

    @property
    def object_id(self) -> str:
        """The principal's own id, which is not its application's."""
        return str(uuid.uuid5(uuid.UUID(self.tenant_id), self.client_id))

    @property
    def variables(self) -> tuple[str, ...]:
        """The principal's names in the env file, beside those of the first principal."""
        federated = None if self.federated is None else self.federated.token_file_env
        return tuple(name for name in (self.client_secret_env, self.certificate_env, federated) if name)
