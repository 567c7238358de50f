"""A reference is resolved when the secret is needed, and a missing one says what to do."""

from pathlib import Path

import pytest

from reconciler.spec.documents import SecretReference
from reconciler.spec.documents.base import KeyVaultReference
from reconciler.spec.secrets import MissingSecret, SecretResolver

BY_ENV = SecretReference(env="CONTOSO_STORAGE")
BY_VAULT = SecretReference(key_vault=KeyVaultReference(vault="contoso-vault", secret="storage"))
BY_FILE = SecretReference(file=Path("secrets/token.txt"))
CONNECTION = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=b==;BlobEndpoint=http://127.0.0.1:1/a#x"


def test_the_environment_wins_over_the_env_file(tmp_path):
    file = tmp_path / "emulator.env"
    file.write_text("CONTOSO_STORAGE=from-file\nOTHER=other\n")
    resolver = SecretResolver({"CONTOSO_STORAGE": "from-environment"}, file)

    assert resolver.resolve(BY_ENV, tmp_path).get_secret_value() == "from-environment"
    assert resolver.resolve(SecretReference(env="OTHER"), tmp_path).get_secret_value() == "other"


@pytest.mark.parametrize(
    "line",
    [
        f"CONTOSO_STORAGE={CONNECTION}",
        f"export CONTOSO_STORAGE='{CONNECTION}'",
        f'  CONTOSO_STORAGE = "{CONNECTION}"  # a note',
        f"CONTOSO_STORAGE={CONNECTION}\r",
    ],
)
def test_env_file_lines_may_be_quoted_as_for_a_shell(line, tmp_path):
    file = tmp_path / "emulator.env"
    file.write_bytes(f"# a comment\n\n{line}\n".encode())

    assert SecretResolver({}, file).resolve(BY_ENV, tmp_path).get_secret_value() == CONNECTION


@pytest.mark.parametrize(
    ("content", "secret"), [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("a \n\n", "a \n")]
)
def test_a_file_loses_one_newline_at_its_end(content, secret, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token.txt").write_bytes(content.encode())

    assert SecretResolver({}).resolve(BY_FILE, tmp_path).get_secret_value() == secret


def test_a_secret_prints_as_stars(tmp_path):
    found = SecretResolver({"CONTOSO_STORAGE": "hunter2"}).resolve(BY_ENV, tmp_path)

    assert "hunter2" not in f"{found} {found!r}"


def test_a_missing_variable_says_who_wants_it_and_where_to_put_it(tmp_path):
    resolver = SecretResolver({}, tmp_path / "emulator.env")

    with pytest.raises(MissingSecret) as raised:
        resolver.resolve(BY_ENV, tmp_path, wanted_for="Workspace contoso, spec.storage.connectionString")

    assert str(raised.value) == (
        "environment variable CONTOSO_STORAGE (used by Workspace contoso, spec.storage.connectionString) "
        f"is not set. Set it or add it to {tmp_path / 'emulator.env'}"
    )


def test_an_empty_variable_is_no_secret(tmp_path):
    with pytest.raises(MissingSecret, match="is empty"):
        SecretResolver({"CONTOSO_STORAGE": ""}).resolve(BY_ENV, tmp_path)


def test_a_missing_file_is_named_with_its_whole_path(tmp_path):
    with pytest.raises(MissingSecret, match="does not exist") as raised:
        SecretResolver({}).resolve(BY_FILE, tmp_path)

    assert str(tmp_path / "secrets" / "token.txt") in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_refused(content, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token.txt").write_bytes(content)

    with pytest.raises(MissingSecret):
        SecretResolver({}).resolve(BY_FILE, tmp_path)


@pytest.mark.parametrize("line", ["hunter2hunter2", "A='hunter2hunter2", "=hunter2hunter2"])
def test_a_line_that_is_not_understood_is_named_and_not_shown(line, tmp_path):
    file = tmp_path / "emulator.env"
    file.write_text(f"B=c\n{line}\n")

    with pytest.raises(MissingSecret, match=":2: ") as raised:
        SecretResolver({}, file).resolve(BY_ENV, tmp_path)

    assert "hunter2" not in str(raised.value)


def test_the_env_file_is_read_once_and_again_when_asked_anew(tmp_path):
    file = tmp_path / "emulator.env"
    file.write_text("CONTOSO_STORAGE=one")
    resolver = SecretResolver({}, file)
    assert resolver.resolve(BY_ENV, tmp_path).get_secret_value() == "one"

    file.write_text("CONTOSO_STORAGE=two")

    assert resolver.resolve(BY_ENV, tmp_path).get_secret_value() == "one"
    assert resolver.resolve(BY_ENV, tmp_path, refresh=True).get_secret_value() == "two"
    assert resolver.resolve(BY_ENV, tmp_path).get_secret_value() == "two"


@pytest.mark.parametrize(
    ("reference", "called"),
    [
        (BY_ENV, "env CONTOSO_STORAGE"),
        (BY_FILE, "file secrets/token.txt"),
        (BY_VAULT, "Key Vault contoso-vault, secret storage"),
        (
            SecretReference.model_validate(
                {"keyVault": {"vault": "https://c.vault.azure.net", "secret": "s", "version": "0" * 32}}
            ),
            f"Key Vault https://c.vault.azure.net, secret s, version {'0' * 32}",
        ),
    ],
)
def test_a_reference_is_called_by_the_place_that_it_names(reference, called):
    assert str(reference) == called


def test_a_vault_is_not_asked_from_here(tmp_path):
    with pytest.raises(ValueError, match="Key Vault"):
        SecretResolver({}).resolve(BY_VAULT, tmp_path)
