"""Finds the secret that a reference names on this machine, when it is needed and not before.

What is in a Key Vault is asked for over the network, which this room does not do: `reconciler.targets.secrets` does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from reconciler.spec.diagnostics import SpecError
from reconciler.spec.documents import SecretReference


class MissingSecret(SpecError):
    """A secret that a spec refers to is not there; the message names the place, who asks for it, the remedy."""


class SecretResolver:
    """Looks references up: a variable in the environment, then in the env file; a file beside its document.

    Args:
        environ: The environment; its values win over those of the env file.
        env_file: A file of ``KEY=VALUE`` lines, ``export`` and shell quotes allowed. It need not exist.
    """

    def __init__(self, environ: Mapping[str, str], env_file: Path | None = None) -> None:
        self._environ = environ
        self._env_file = env_file
        self._from_file: dict[str, str] | None = None

    def resolve(self, ref: SecretReference, base: Path, *, wanted_for: str = "", refresh: bool = False) -> SecretStr:
        """Return the secret itself.

        Args:
            ref: The reference, to a variable or a file.
            base: The directory of the file that holds the document.
            wanted_for: Where it is asked for, for the message, as in ``Workspace contoso, spec.token``.
            refresh: Whether the env file is read again, though it was read before; a file always is.

        Raises:
            MissingSecret: it is not there, cannot be read or is empty.
            ValueError: it is in a Key Vault.
        """
        if ref.key_vault is not None:
            raise ValueError("a Key Vault is asked by its client")
        asked = asked_by(wanted_for)
        if refresh:
            self._from_file = None
        if ref.env is not None:
            return self._variable(ref.env, asked)
        return _file(base / ref.file if ref.file else base, asked)

    def _variable(self, name: str, asked: str) -> SecretStr:
        value = self._environ.get(name) or self._env().get(name, "")
        if value:
            return SecretStr(value)
        state = "is empty" if name in self._environ or name in self._env() else "is not set"
        also = f" or add it to {self._env_file}" if self._env_file else ""
        raise MissingSecret(f"environment variable {name}{asked} {state}. Set it{also}")

    def _env(self) -> Mapping[str, str]:
        if self._from_file is None:
            self._from_file = read_env_file(self._env_file) if self._env_file else {}
        return self._from_file


def asked_by(wanted_for: str) -> str:
    """Return the clause of a message that says who asks for a secret; empty if nobody is named."""
    return f" (used by {wanted_for})" if wanted_for else ""


def _file(path: Path, asked: str) -> SecretStr:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise MissingSecret(f"secret file {path}{asked} does not exist. Create it") from None
    except OSError as error:
        raise MissingSecret(f"secret file {path}{asked} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MissingSecret(f"secret file {path}{asked} is not UTF-8 text. Save it as UTF-8") from None
    text = without_newline(text)
    if not text:
        raise MissingSecret(f"secret file {path}{asked} is empty. Write the secret into it")
    return SecretStr(text)


def without_newline(text: str) -> str:
    """Return a text without the one newline at its end, which is an editor's and not the secret's."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file: ``KEY=VALUE`` lines, ``#`` comments, ``export`` and shell quotes allowed.

    A file that does not exist has none. No value is ever part of an error.

    Raises:
        MissingSecret: the file is there and cannot be read, or a line of it is not understood.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MissingSecret(f"env file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MissingSecret(f"env file {path} is not UTF-8 text. Save it as UTF-8") from None
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip().removeprefix("export ").strip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise MissingSecret(f"{path}:{number}: not a KEY=VALUE line")
        variables[name.strip()] = _unquoted(value.strip(), path, number)
    return variables


def _unquoted(value: str, path: Path, line: int) -> str:
    # Connection strings hold ';', '=' and '/' unquoted, which a shell would cut; so only quotes are the shell's.
    if value[:1] not in {"'", '"'}:
        return value
    try:
        words = shlex.split(value, comments=True)
    except ValueError:
        raise MissingSecret(f"{path}:{line}: a quote is not closed") from None
    return words[0] if words else ""
