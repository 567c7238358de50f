"""The rules in force, and which of them fire at a request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeVar

from reconciler.emulator.faults.job_faults import JobFaults
from reconciler.emulator.faults.operation_names import OWN_AREA
from reconciler.emulator.faults.rules import Rule
from reconciler.emulator.listening import Listening

T = TypeVar("T")


class Blobs(Protocol):
    """Storage accounts whose blobs a rule deletes."""

    def delete_where(self, chosen: Callable[[str], bool]) -> object:
        """Delete the blobs whose path ``/account/container/blob`` is chosen."""


class CloudFile(Protocol):
    """The file that tells clients where the emulator is."""

    def write(self, *, named: bool = True) -> object:
        """Write the file; if not ``named``, with a host name that does not exist."""


@dataclass(eq=False)
class ActiveRule:
    """A rule in force.

    Attributes:
        id: its name.
        rule: what it says.
        seed: what its share is drawn from, beside the id.
        until: when it is over.
        effects: their names.
        calls: how many requests it matched.
        fired: at how many of them it fired.
        gone: set when it is no longer in force: whatever it holds up continues.
    """

    id: str
    rule: Rule
    seed: int
    until: datetime | None
    effects: Sequence[str]
    calls: int = 0
    fired: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def fires(self) -> bool:
        """Count a request that the rule matches, and return whether the rule fires."""
        self.calls += 1
        rule = self.rule
        chosen = (
            self.calls > rule.after
            and (rule.nth is None or self.calls in (rule.nth if isinstance(rule.nth, tuple) else (rule.nth,)))
            and (rule.times is None or self.fired < rule.times)
            and (rule.share is None or self._draw() < rule.share)
        )
        self.fired += chosen
        return chosen

    def _draw(self) -> float:
        """Return a number below 1 for the request of this count: the same for the same seed, id and count."""
        digest = hashlib.blake2b(f"{self.seed}/{self.id}/{self.calls}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) / (1 << 56)


class Faults:
    """The faults of one emulator: documented in `reconciler.emulator.faults`.

    Every method may be called from any thread, and from the emulator's own event loop; what it does is in force when it
    returns. Rules that are added before the emulator runs are in force from the moment in which it answers: its own
    start-up meets none.

    Args:
        clock: the true time, with a time zone.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rules: list[ActiveRule] = []
        self._unnamed = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: Listening | None = None
        self._blobs: Blobs | None = None
        self._cloud_file: CloudFile | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.jobs = JobFaults()
        self.closing = False

    def add(self, *rules: Rule, seed: int = 0) -> list[str]:
        """Put rules in force, after the present ones.

        Args:
            rules: any number of them.
            seed: what the shares are drawn from. A request's fate depends on the seed, the rule's id and the count of
                requests that the rule matched before: the same requests in the same order meet the same faults.

        Returns:
            Their ids.

        Raises:
            ValueError: a name is taken.
        """
        return self._in_loop(lambda: self._add(rules, seed))

    def remove(self, *ids: str) -> None:
        """End rules; requests that they hold up continue. Unknown ids are ignored."""
        self._in_loop(lambda: self._remove(lambda active: active.id in ids))

    def clear(self) -> None:
        """End all rules; the next one without a name is ``rule-1`` again."""

        def work() -> None:
            self._remove(lambda _: True)
            self._unnamed = 0

        self._in_loop(work)

    def listing(self) -> list[dict[str, Any]]:
        """Return the rules in force, for people and tests: ``id``, ``rule``, ``seed``, ``calls`` and ``fired``."""
        return self._in_loop(
            lambda: [
                {
                    "id": active.id,
                    "rule": active.rule.model_dump(mode="json", by_alias=True, exclude_defaults=True),
                    "seed": active.seed,
                    "calls": active.calls,
                    "fired": active.fired,
                }
                for active in self._in_force()
            ]
        )

    # -- for the server ------------------------------------------------------------------------------------------------

    def begin(self, listening: Listening, blobs: Blobs, cloud_file: CloudFile) -> None:
        """Put waiting rules in force; from now on the emulator answers, and its client files are written."""
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._blobs = blobs
        self._cloud_file = cloud_file
        waiting, self._rules = self._rules, []
        for active in waiting:
            # Their time counts from now.
            self._put_in_force(active)

    async def close(self) -> None:
        """Release everything that waits, because the emulator ends."""
        self.closing = True
        self._remove(lambda _: True)
        self._loop = None

    def fired_at(self, operation: str, method: str, path: str, caller: str) -> list[ActiveRule]:
        """Return the rules that fire at a request; every rule that matches it counts it."""
        if self._loop is None or not self._rules or operation.startswith(f"{OWN_AREA}."):
            return []
        matching = [active for active in self._in_force() if active.rule.matches(operation, method, path, caller)]
        return [active for active in matching if active.fires()]

    def delete_blob(self, path: str) -> None:
        """Delete the blob at ``/account/container/blob`` if it is there."""
        if self._blobs is not None:
            self._blobs.delete_where(lambda candidate: candidate == path)

    # ------------------------------------------------------------------------------------------------------------------

    def _in_loop(self, work: Callable[[], T]) -> T:
        async def call() -> T:
            return work()

        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or self._loop is here:
            return work()
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def _add(self, rules: Sequence[Rule], seed: int) -> list[str]:
        taken = [active.id for active in self._in_force()]
        for name in (rule.name for rule in rules if rule.name is not None):
            if name in taken:
                raise ValueError(f"a rule {name!r} is already in force")
            taken.append(name)
        ids = []
        for rule in rules:
            active = ActiveRule(self._free_id(rule, taken), rule, seed, None, rule.effects)
            ids.append(active.id)
            if self._loop is None:
                self._rules.append(active)
            else:
                self._put_in_force(active)
        return ids

    def _free_id(self, rule: Rule, taken: Sequence[str]) -> str:
        if rule.name is not None:
            return rule.name
        self._unnamed += 1
        while f"rule-{self._unnamed}" in taken:
            self._unnamed += 1
        return f"rule-{self._unnamed}"

    def _put_in_force(self, active: ActiveRule) -> None:
        rule = active.rule
        if rule.vanish == "now":
            if self._blobs is not None:
                self._blobs.delete_where(lambda path: fnmatchcase(path, rule.path or ""))
            return
        if rule.lasts is not None:
            active.until = self._clock() + rule.lasts
        before = self._retired()
        self._rules = [*self._rules, active]
        self._retire(before)
        if rule.retired is not None and rule.lasts is not None:
            # It may be that no request comes which would find that its time is over.
            self._timers[active.id] = asyncio.get_running_loop().call_later(
                rule.lasts.total_seconds(), self._remove, lambda other: other is active
            )

    def _in_force(self) -> list[ActiveRule]:
        if any(active.until is not None for active in self._rules):
            now = self._clock()
            self._remove(lambda active: active.until is not None and active.until <= now)
        return self._rules

    def _remove(self, chosen: Callable[[ActiveRule], bool]) -> None:
        before = self._retired()
        ended = [active for active in self._rules if chosen(active)]
        self._rules = [active for active in self._rules if active not in ended]
        for active in ended:
            active.gone.set()
            if timer := self._timers.pop(active.id, None):
                timer.cancel()
        self._retire(before)

    def _retired(self) -> set[str]:
        return {active.rule.retired for active in self._rules if active.rule.retired is not None}

    def _retire(self, before: set[str]) -> None:
        """Take the ports or the name away or restore them, for rules that are not about single requests."""
        now = self._retired()
        if self._listening is not None and ("refused" in now) != ("refused" in before):
            if "refused" in now:
                self._listening.refuse()
            elif not self.closing:
                self._listening.accept()
        if self._cloud_file is not None and ("name-not-found" in now) != ("name-not-found" in before):
            self._cloud_file.write(named="name-not-found" not in now)
