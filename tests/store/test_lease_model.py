"""Leases against a model of a few lines, over any sequence of events that hypothesis thinks of."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from reconciler.store import Holder, Lease, LeaseHeld, LeaseLost, Store

KEYS = st.sampled_from(["target:a", "version:b"])
HOLDERS = st.sampled_from([Holder("h", pid, pid, "ann", f"run-{pid}", "boot") for pid in (1, 2, 3)])
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SECONDS = st.sampled_from([1, 10, 60])


@dataclass
class Standing:
    """What the model knows of a key: the newest token, and whose it is until when."""

    token: int = 0
    holder: Holder | None = None
    ends: datetime = LONG_AGO


class Leases(RuleBasedStateMachine):
    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 1, tzinfo=UTC)
        self.dead: set[Holder] = set()
        self.model: dict[str, Standing] = {}
        self.written: list[int] = []
        self.directory = Path(tempfile.mkdtemp())
        self.store = Store.open(
            self.directory / "state.db", clock=lambda: self.now, holder_is_dead=self.dead.__contains__
        )

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    def standing(self, key: str) -> Standing:
        return self.model.setdefault(key, Standing())

    def good(self, lease: Lease) -> bool:
        standing = self.standing(lease.key)
        return standing.token == lease.token and standing.holder is not None

    @rule(target=taken, key=KEYS, holder=HOLDERS, seconds=SECONDS)
    def acquire(self, key: str, holder: Holder, seconds: int) -> object:
        standing = self.standing(key)
        free = standing.holder is None or standing.ends <= self.now or standing.holder in self.dead
        try:
            lease = self.store.acquire(key, holder, timedelta(seconds=seconds))
        except LeaseHeld as error:
            assert not free
            assert standing.holder == error.holder  # noqa: PT017 - the model may expect either end
            return multiple()
        assert free
        assert lease.token > standing.token
        self.model[key] = Standing(lease.token, holder, self.now + timedelta(seconds=seconds))
        assert self.model[key].ends == lease.expires_at
        return lease

    @rule(lease=taken)
    def renew(self, lease: Lease) -> None:
        try:
            renewed = self.store.renew(lease)
        except LeaseLost:
            assert not self.good(lease)
            return
        assert self.good(lease)
        standing = self.standing(lease.key)
        standing.ends = max(standing.ends, self.now + lease.ttl)
        assert standing.ends == renewed.expires_at

    @rule(lease=taken)
    def write(self, lease: Lease) -> None:
        try:
            with self.store.fenced(lease) as transaction:
                event = transaction.add_event(run_id="r", subject=lease.key, action="note", outcome="ok")
        except LeaseLost:
            assert not self.good(lease)
            return
        assert self.good(lease)
        self.written.append(event.id)

    @rule(lease=consumes(taken))
    def release(self, lease: Lease) -> None:
        good = self.good(lease)
        self.store.release(lease)
        if good:
            self.standing(lease.key).holder = None

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(holder=HOLDERS)
    def a_process_dies(self, holder: Holder) -> None:
        self.dead.add(holder)

    @rule(holder=HOLDERS)
    def a_process_is_started(self, holder: Holder) -> None:
        self.dead.discard(holder)

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        expected = {
            (key, standing.token, standing.holder, standing.ends)
            for key, standing in self.model.items()
            if standing.holder is not None
        }
        assert expected == {(it.key, it.token, it.holder, it.expires_at) for it in self.store.leases()}

    @invariant()
    def only_good_leases_wrote(self) -> None:
        assert self.written == [event.id for event in self.store.events()][::-1]


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=30, stateful_step_count=30, deadline=None, derandomize=True)
