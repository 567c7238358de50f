"""``reconcile chaos``: inject faults into a running emulator, for as long as the command runs."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from reconciler.bounded_json import read_json
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode

_SECONDS_TO_ANSWER = 10


def chaos(
    cloud_file: Annotated[
        Path | None, typer.Option("--cloud-file", metavar="FILE", help="The cloud file of a running emulator.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The URL of a running emulator, instead of --cloud-file.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Selects the faults. The same seed gives the same faults.")
    ] = 0,
    share: Annotated[
        float,
        typer.Option("--share", metavar="FRACTION", min=0.001, max=1, help="The share of requests that fail."),
    ] = 0.1,
    lasts: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0.1, help="Stop after this time. Default: run until Ctrl-C."),
    ] = None,
    retired: Annotated[
        str | None,
        typer.Option(
            "--retired",
            metavar="FORM",
            help="Instead of random faults, behave like a retired service: refused (requires --for), reset, 404, "
            "410, NoRegisteredProviderFound or name-not-found.",
        ),
    ] = None,
) -> int:
    """Inject random faults into a running emulator.

    The faults are printed first and removed at the end: after --for, or on Ctrl-C.
    """
    from reconciler.emulator.faults.chaos import mix, retirement

    span = None if lasts is None else timedelta(seconds=lasts)
    faults = f"{_emulator(url, cloud_file)}/_studio/faults"
    try:
        file = mix(seed, share, span) if retired is None else retirement(retired, span)
    except ValueError as error:
        raise UserError(f"--retired: {error}") from error
    rules = file.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    with _end_requested() as requested:
        added = _call("POST", faults, rules)["added"]
        try:
            what = f"faults of seed {seed} in about {share:.0%} of requests" if retired is None else "retired service"
            _print_rules(what, rules["rules"], span)
            requested.wait(lasts)
        finally:
            fired = _remove(faults, added)
    print(f"Faults removed: {fired}.")
    return ExitCode.OK


def _emulator(url: str | None, cloud_file: Path | None) -> str:
    if (url is None) == (cloud_file is None):
        raise UserError("chaos requires either --url or --cloud-file")
    if cloud_file is not None:
        try:
            url = str(read_json(cloud_file.read_text("utf-8"))["emulatorUrl"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{cloud_file} is not the cloud file of an emulator: {_reason(error)}") from error
    found = (url or "").rstrip("/")
    if urlsplit(found).hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise UserError(f"chaos works only on an emulator of this machine, and {found} is not a loopback address")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it has no emulatorUrl" if isinstance(error, KeyError | TypeError) else str(error)


def _print_rules(what: str, rules: list[dict[str, Any]], lasts: timedelta | None) -> None:
    until = "until Ctrl-C" if lasts is None else f"for {lasts.total_seconds():g} s, or until Ctrl-C"
    print(f"Injecting {what}, {until}:")
    for rule in rules:
        shown = {name: value for name, value in rule.items() if name not in {"name", "share", "lasts"}}
        print(f"  {rule.get('share', 1):7.2%}  {rule['name']:<24} {json.dumps(shown)}")
    sys.stdout.flush()


def _remove(faults: str, added: list[str]) -> str:
    try:
        listed = [rule for rule in _call("GET", faults)["rules"] if rule["id"] in added]
        for rule in listed:
            _call("DELETE", f"{faults}/{rule['id']}")
    except UserError as error:
        # The rules end with the process that held them.
        return f"the emulator has stopped ({error})"
    if not listed:
        return "the emulator removed them when their time was over"
    return f"{sum(rule['fired'] for rule in listed):,} of {max(rule['calls'] for rule in listed):,} requests failed"


def _call(method: str, url: str, body: Any = None) -> Any:
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"})  # noqa: S310 - http, on loopback
    try:
        # Loopback is never reached through a proxy.
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS_TO_ANSWER) as reply:
            text = reply.read()
    except HTTPError as error:
        with error:
            reason = error.read().decode(errors="replace")
        if error.code == 404 and method == "DELETE":
            return None  # The emulator removed the rule in this moment, because its time was over.
        raise UserError(f"{url} returned {error.code}: {reason}") from error
    except (OSError, URLError) as error:
        raise UserError(f"no emulator answers at {url}: {getattr(error, 'reason', error)}") from error
    return json.loads(text) if text else None


@contextmanager
def _end_requested() -> Iterator[threading.Event]:
    """Return an event that Ctrl-C and SIGTERM set, instead of ending the program between two requests."""
    requested = threading.Event()

    def request_end(_number: int, _frame: FrameType | None) -> None:
        requested.set()

    before = {number: signal.signal(number, request_end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
