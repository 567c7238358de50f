"""``reconcile chaos``: a seeded mix of faults on a running emulator, for as long as the command runs."""

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
    url: Annotated[str | None, typer.Option("--url", help="Or its URL.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same mix.")] = 0,
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1, help="About this share of the requests is hit.")
    ] = 0.1,
    lasts: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="How long. Default: until Ctrl-C.")
    ] = None,
    retired: Annotated[
        str | None,
        typer.Option(
            "--retired",
            metavar="FORM",
            help="Instead of a mix: the whole service has ended, as refused (goes with --for), reset, 404, 410, "
            "NoRegisteredProviderFound or name-not-found.",
        ),
    ] = None,
) -> int:
    """Make a running emulator fail here and there, until Ctrl-C: a seeded mix of faults, printed and then removed."""
    from reconciler.emulator.faults.chaos import mix, retirement

    span = None if lasts is None else timedelta(seconds=lasts)
    faults = f"{_emulator(url, cloud_file)}/_studio/faults"
    try:
        file = mix(seed, share, span) if retired is None else retirement(retired, span)
    except ValueError as error:
        raise UserError(f"--retired: {error}") from error
    rules = file.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    with _told_to_end() as told:
        added = _call("POST", faults, rules)["added"]
        try:
            what = f"chaos with seed {seed} on about {share:.0%} of the requests" if retired is None else "retired"
            _print_rules(what, rules["rules"], span)
            told.wait(lasts)
        finally:
            fired = _take_away(faults, added)
    print(f"removed; {fired}")
    return ExitCode.OK


def _emulator(url: str | None, cloud_file: Path | None) -> str:
    if (url is None) == (cloud_file is None):
        raise UserError("chaos needs one of --url and --cloud-file")
    if cloud_file is not None:
        try:
            url = str(read_json(cloud_file.read_text("utf-8"))["emulatorUrl"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{cloud_file} is not the cloud file of an emulator: {error!r}") from error
    found = (url or "").rstrip("/")
    if urlsplit(found).hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise UserError(f"chaos is for an emulator of this machine; {found} is not on loopback")
    return found


def _print_rules(what: str, rules: list[dict[str, Any]], lasts: timedelta | None) -> None:
    until = "Ctrl-C ends it" if lasts is None else f"for {lasts.total_seconds():g} s, or until Ctrl-C"
    print(f"{what}, {until}:")
    for rule in rules:
        shown = {name: value for name, value in rule.items() if name not in {"name", "share", "lasts"}}
        print(f"  {rule.get('share', 1):7.2%}  {rule['name']:<24} {json.dumps(shown)}")
    sys.stdout.flush()


def _take_away(faults: str, added: list[str]) -> str:
    try:
        listed = [rule for rule in _call("GET", faults)["rules"] if rule["id"] in added]
        for rule in listed:
            _call("DELETE", f"{faults}/{rule['id']}")
    except UserError as error:
        # The rules end with the process that held them.
        return f"the emulator is gone, and its rules with it ({error})"
    if not listed:
        return "its time was over, and the emulator had removed it already"
    return f"{sum(rule['fired'] for rule in listed)} of {max(rule['calls'] for rule in listed)} requests were hit"


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
            return None  # Its time was over in this moment.
        raise UserError(f"{url} answers {error.code}: {reason}") from error
    except (OSError, URLError) as error:
        raise UserError(f"no emulator answers at {url}: {error}") from error
    return json.loads(text) if text else None


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Return an event that Ctrl-C and SIGTERM set, instead of ending the program between two requests."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
