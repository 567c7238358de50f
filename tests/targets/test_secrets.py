"""References become secrets: looked up once, when they are needed, and again when a service refuses them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.azure.errors import (
    CloudError,
    NotFound,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Unreachable,
)
from reconciler.azure.key_vault import VaultSecret
from reconciler.spec.documents.base import SecretReference
from reconciler.spec.secrets import MissingSecret, SecretResolver
from reconciler.targets.secrets import LEFT_ALONE_FOR, SecretLookup

WANTED = "Workspace contoso, spec.token"
IN_VAULT = SecretReference.model_validate({"keyVault": {"vault": "contoso-vault", "secret": "token"}})
BY_ENV = SecretReference(env="CONTOSO_TOKEN")
BY_FILE = SecretReference(file=Path("token.txt"))


class Vaults:
    """Vaults that answer what they are told, the last answer again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    async def secret(self, vault, name, version=None):
        self.asked.append((vault, name, version))
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, VaultSecret) else VaultSecret(SecretStr(answer), "1")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def references(clock, tmp_path):
    def made(*answers, environ=None):
        vaults = Vaults(*answers)
        return vaults, SecretLookup(SecretResolver(environ or {}, tmp_path / "emulator.env"), vaults, clock=clock)

    return made


def shown(secret):
    return None if secret is None else secret.get_secret_value()


async def test_nothing_is_looked_up_before_it_is_needed(references, tmp_path):
    vaults, found = references("one")

    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)

    assert vaults.asked == []
    assert credential.name == "Workspace contoso, spec.token (Key Vault contoso-vault, secret token)"
    assert found.credential(BY_ENV, tmp_path, wanted_for=WANTED).name == f"{WANTED} (env CONTOSO_TOKEN)"


async def test_many_references_to_one_secret_cost_one_call(references, tmp_path):
    vaults, found = references("one")
    again = SecretReference.model_validate({"keyVault": {"vault": "Contoso-Vault", "secret": "TOKEN"}})
    wanted = [found.credential(each, tmp_path, wanted_for=WANTED) for each in [IN_VAULT, again] * 10]

    values = await asyncio.gather(*(each.current() for each in wanted))

    assert {value.get_secret_value() for value in values} == {"one"}
    assert shown(await found.secret(IN_VAULT, Path("/elsewhere"))) == "one"
    assert len(vaults.asked) == 1


async def test_a_vault_that_failed_is_not_asked_again_and_each_is_told_who_wanted_it(references, tmp_path):
    vaults, found = references(Unreachable("no connection to contoso-vault.vault.azure.net", operation="get secret"))

    for wanted in ("Workspace a, spec.token", "Workspace b, spec.token"):
        with pytest.raises(MissingSecret, match=f"Key Vault contoso-vault .used by {wanted}. is not available"):
            await found.secret(IN_VAULT, tmp_path, wanted_for=wanted)

    assert len(vaults.asked) == 1


OPERATION = "get secret token of Key Vault contoso-vault"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NotFound("A secret was not found.", operation=OPERATION, status=404, code="SecretNotFound"),
            (
                "does not exist: 404 SecretNotFound: A secret was not found. Store the secret there, or "
                "correct the reference"
            ),
        ),
        (
            SignInError("no", operation=OPERATION, status=403, code="Forbidden", detail_codes=("ForbiddenByPolicy",)),
            (
                "cannot be read: 403 Forbidden/ForbiddenByPolicy: no. Allow the signed-in identity to get secrets of "
                "this vault, with an access policy (Get) or the role Key Vault Secrets User"
            ),
        ),
        (
            SignInError("no", operation=OPERATION, status=403, code="Forbidden", detail_codes=("ForbiddenByFirewall",)),
            (
                "cannot be read: 403 Forbidden/ForbiddenByFirewall: no. Allow this machine's address in the vault's "
                "firewall"
            ),
        ),
        (
            SignInError("off", operation=OPERATION, status=403, code="Forbidden", detail_codes=("SecretDisabled",)),
            "cannot be read: 403 Forbidden/SecretDisabled: off. Enable the secret, or store a new version",
        ),
        (
            SignInError("AADSTS7000215", operation="sign in to local", status=401, code="invalid_client"),
            (
                "is not available: sign in to local: 401 invalid_client: AADSTS7000215. Check the sign-in of the "
                "cloud, and that it is in the vault's tenant"
            ),
        ),
        (
            Unreachable("no connection to x", operation=OPERATION),
            "is not available: no connection to x. Check the vault's name and the network",
        ),
        (
            ServiceUnavailable("busy", operation=OPERATION, status=503),
            "is not available: 503: busy. Run again when the vault answers",
        ),
        (CloudError("no vaults here"), "cannot be read: no vaults here"),
    ],
)
async def test_a_secret_that_is_not_to_be_had_says_who_wants_it_why_not_and_what_to_do(
    references, tmp_path, error, said
):
    _, found = references(error)

    with pytest.raises(MissingSecret) as raised:
        await found.secret(IN_VAULT, tmp_path, wanted_for=WANTED)

    asked = "secret token of Key Vault contoso-vault (used by Workspace contoso, spec.token)"
    assert str(raised.value) == f"{asked} {said}"


async def test_a_secret_loses_one_newline_at_its_end_as_in_a_file(references, tmp_path):
    _, found = references("one\r\n")

    assert shown(await found.secret(IN_VAULT, tmp_path)) == "one"


async def test_an_empty_secret_is_none(references, tmp_path):
    _, found = references("")

    with pytest.raises(MissingSecret, match="does not exist: it is empty"):
        await found.secret(IN_VAULT, tmp_path)


# -- a service refuses one


async def test_another_value_is_handed_out_from_then_on(references, tmp_path):
    vaults, found = references("one", "two")
    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)
    first = await credential.current()

    assert shown((await credential.refresh(first)).value) == "two"
    assert shown(await credential.current()) == "two"
    assert shown(await found.secret(IN_VAULT, tmp_path)) == "two"
    assert len(vaults.asked) == 2


async def test_calls_that_are_refused_at_one_time_look_once(references, tmp_path):
    vaults, found = references("one", "two")
    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)
    first = await credential.current()

    renewals = await asyncio.gather(*(credential.refresh(first) for _ in range(20)))

    assert {shown(renewal.value) for renewal in renewals} == {"two"}
    assert len(vaults.asked) == 2


async def test_one_that_is_the_same_is_left_alone_for_a_while(references, tmp_path, clock):
    vaults, found = references("one", "one", "two")
    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)
    first = await credential.current()

    for _ in range(5):
        renewal = await credential.refresh(first)
        assert renewal.value is None
        assert renewal.reason == "its value has not changed. Update it with the value that the service accepts"
    assert len(vaults.asked) == 2

    clock.now += LEFT_ALONE_FOR
    assert shown((await credential.refresh(first)).value) == "two"


async def test_one_that_has_expired_is_said_to_have(references, tmp_path, clock):
    old = VaultSecret(SecretStr("one"), "1", expires=clock.now - timedelta(days=1))
    _, found = references(old)
    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)

    renewal = await credential.refresh(await credential.current())

    assert renewal.reason.startswith("its value has not changed, and expired on 2026-11-23. ")


async def test_what_goes_wrong_when_looking_again_is_the_reason_and_no_error(references, tmp_path):
    _, found = references("one", ServiceError("gone", operation=OPERATION, status=400), "two")
    credential = found.credential(IN_VAULT, tmp_path, wanted_for=WANTED)
    first = await credential.current()

    renewal = await credential.refresh(first)

    assert (renewal.value, renewal.reason) == (None, f"its value cannot be read again: {OPERATION}: 400: gone")
    assert shown(await credential.current()) == "one"
    assert shown((await credential.refresh(first)).value) == "two"


async def test_a_file_is_read_again(references, tmp_path):
    _, found = references("")
    (tmp_path / "token.txt").write_text("one\n")
    credential = found.credential(BY_FILE, tmp_path, wanted_for=WANTED)
    first = await credential.current()
    (tmp_path / "token.txt").write_text("two\n")

    assert shown(await credential.current()) == "one"
    assert shown((await credential.refresh(first)).value) == "two"


async def test_an_env_file_is_read_again_and_the_environment_still_wins(references, tmp_path):
    (tmp_path / "emulator.env").write_text("CONTOSO_TOKEN=one\nOTHER=one\n")
    _, found = references("", environ={"OTHER": "mine"})
    other = found.credential(SecretReference(env="OTHER"), tmp_path, wanted_for="x")
    credential = found.credential(BY_ENV, tmp_path, wanted_for=WANTED)
    first = await credential.current()
    (tmp_path / "emulator.env").write_text("CONTOSO_TOKEN=two\nOTHER=two\n")

    assert shown((await credential.refresh(first)).value) == "two"
    assert (await other.refresh(await other.current())).value is None


async def test_a_file_that_went_away_is_the_reason(references, tmp_path):
    _, found = references("")
    (tmp_path / "token.txt").write_text("one")
    credential = found.credential(BY_FILE, tmp_path, wanted_for=WANTED)
    first = await credential.current()
    (tmp_path / "token.txt").unlink()

    renewal = await credential.refresh(first)

    assert renewal.reason.startswith("its value cannot be read again: secret file ")
    assert f"(used by {WANTED}) does not exist" in renewal.reason
