"""A fault rule: which requests it is about, at which of them it fires, and what happens then.

Python uses the names below; YAML and JSON use the same in camelCase (``delayReply``), with durations as ``0.5s``,
``20m`` or, for `Rule.clock_skew`, ``-20m``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

from reconciler.emulator.faults.documented_codes import code_error, execution_codes
from reconciler.emulator.faults.operation_names import OPERATIONS, PROVIDER_OPERATIONS, STUDIO_AREAS

_SPAN: Final = re.compile(r"(?P<sign>-?)(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")


def _span(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None or not any(match[unit] for unit in "hms"):
        raise ValueError(f"{value!r} is not a duration; one is written like 24h5m, 30s or 0.5s")
    span = timedelta(hours=float(match["h"] or 0), minutes=float(match["m"] or 0), seconds=float(match["s"] or 0))
    return -span if match["sign"] else span


def _longer_than_nothing(span: timedelta) -> timedelta:
    if span <= timedelta(0):
        raise ValueError(f"{_text(span)} is not a positive duration")
    return span


def _text(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


AnySpan = Annotated[timedelta, BeforeValidator(_span), PlainSerializer(_text)]
Span = Annotated[AnySpan, AfterValidator(_longer_than_nothing)]
Count = Annotated[int, Field(ge=1)]
# YAML reads 404 as a number.
Retirement = Annotated[
    Literal["refused", "reset", "404", "410", "NoRegisteredProviderFound", "name-not-found"],
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Answer(_Part):
    """A reply instead of the real one.

    Attributes:
        status: the HTTP status; that of the code if left out.
        code: an error code, put into the body as this part of the service has its errors. Documented ones bring their
            status (classic-protocol 4.1; storage and Resource Manager have theirs): ``RequestThrottled``. Where a
            code is in the table twice, or for two levels elsewhere, write ``InternalError/UnknownError``.
        message: the sentence that goes with the code.
        body: a body as it is, instead of a code: text, or anything that JSON has.
        headers: further headers, such as ``Retry-After``.
        after_work: what was asked for is done first: the answer is wrong about it.
    """

    status: Annotated[int, Field(ge=200, le=599)] | None = None
    code: str | None = None
    message: str | None = None
    body: Any = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    after_work: bool = False

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.status is None and self.code is None:
            raise ValueError("an answer needs a status or a code")
        if self.code is not None and self.body is not None:
            raise ValueError("a code makes the body: give one of code and body")
        if self.message is not None and self.code is None:
            raise ValueError("a message goes with a code")
        if self.code is not None and (error := code_error(self.code, self.status)):
            raise ValueError(error)
        return self


class Trickle(_Part):
    """A body that comes in pieces.

    Attributes:
        every: how long to wait before each piece; the headers are sent at once.
        bytes: the size of a piece.
    """

    every: Span
    bytes: Count = 1


class JobFault(_Part):
    """What becomes of the batch job that a start call starts; one of the following.

    Attributes:
        hang: it runs until it is cancelled; if the rule is removed before, it goes on as any job.
        fail: it ends as Failed with this code of classic-protocol 4.1 in its Details.
        message: the rest of the Details.
        omit: it ends as Finished, and its outputs of these names (globs) are not written.
        worker_dies: the process that trains or scores for it is killed while it works.
    """

    hang: bool = False
    fail: str | None = None
    message: str | None = None
    omit: tuple[str, ...] = ()
    worker_dies: bool = False

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [self.hang, self.fail is not None, bool(self.omit), self.worker_dies]
        if sum(given) != 1:
            raise ValueError("give one of hang, fail, omit and workerDies")
        if self.message is not None and self.fail is None:
            raise ValueError("a message goes with fail")
        if self.fail is not None and not execution_codes(self.fail):
            raise ValueError(code_error(self.fail, None) or f"{self.fail} is not a code of the execution API")
        return self


class Rule(_Part):
    """One rule. Without any of ``nth``, ``share``, ``after`` and ``times`` it fires at every request it matches.

    Attributes:
        name: its id; ``rule-1``, ``rule-2`` and so on if left out. It is part of what a share is drawn from.
        operation: names of operations, or globs of them (``batch.*``); ``/_studio/operations`` lists them. Left out:
            all those that the effect makes sense for.
        method: the HTTP method.
        path: a glob of the decoded path; a star also stands for slashes.
        caller: ``client``, or ``studio`` for what the emulator sends to itself: reading and writing the blobs of jobs
            and models.
        nth: fires at these matching requests, counted from 1.
        share: fires at this share of them, drawn from the seed.
        after: lets so many pass first.
        times: fires so often at most.
        lasts: is over after this time.
        answer: a reply instead of the real one.
        delay: waits before anything is done.
        delay_reply: waits when everything is done, before the reply is sent.
        drop: closes the connection without a byte of reply, ``before`` or ``after`` the work is done.
        cut: closes it after so many bytes of the body, or after this part of it (0.5); the headers promise it whole.
        body: ``broken``, its first half as if that were all; ``html``, a page; ``empty``.
        content_type: another type for the same body.
        trickle: the body comes slowly.
        clock_skew: the service's clock is this much ahead, or behind: in ``Date``, in the times of the SAS that it
            makes, and when it judges a SAS, a signature's date or a token.
        job: what becomes of the job; for ``batch.start``.
        vanish: a blob is deleted: the one of this request ``before`` or ``after`` it is read, or ``now`` every one
            that `path` matches.
        storage_full: writes are refused: 403 InsufficientAccountPermissions. No source has a code for a full account.
        retired: the service has ended. ``refused``: nothing listens any more; ``reset``, ``404``, ``410``: the hosts
            of Studio itself (``operation="*"`` for all); ``NoRegisteredProviderFound``: Resource Manager lives and
            knows no such provider; ``name-not-found``: the cloud file has a name for Studio's own host that does not
            exist, and whoever remembers its address is reset.
    """

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w.-]+$")] | None = None
    operation: str | tuple[str, ...] | None = None
    method: Annotated[str, Field(pattern=r"^[A-Z]+$")] | None = None
    path: Annotated[str, Field(pattern=r"^[/*]")] | None = None
    caller: Literal["any", "client", "studio"] = "any"

    nth: Count | tuple[Count, ...] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    after: Annotated[int, Field(ge=0)] = 0
    times: Count | None = None
    lasts: Span | None = None

    answer: Answer | None = None
    delay: Span | None = None
    delay_reply: Span | None = None
    drop: Literal["before", "after"] | None = None
    cut: Annotated[int, Field(ge=0)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    body: Literal["broken", "html", "empty"] | None = None
    content_type: str | None = None
    trickle: Trickle | None = None
    clock_skew: AnySpan | None = None
    job: JobFault | None = None
    vanish: Literal["now", "before", "after"] | None = None
    storage_full: bool = False
    retired: Retirement | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for error in (self._effect_error(), self._match_error(), self._moment_error()):
            if error is not None:
                raise ValueError(error)
        return self

    @property
    def operations(self) -> tuple[str, ...]:
        """Globs of the operations that the rule is about."""
        if self.operation is not None:
            return (self.operation,) if isinstance(self.operation, str) else self.operation
        usual = {
            "batch.start": self.job is not None,
            "storage.getBlob": self.vanish is not None,
            "storage.*": self.storage_full,
        }
        if self.retired == "NoRegisteredProviderFound":
            return tuple(sorted(PROVIDER_OPERATIONS))
        if self.retired is not None and self.retired != "refused":
            return STUDIO_AREAS
        return next(((name,) for name, is_meant in usual.items() if is_meant), ("*",))

    @property
    def effects(self) -> tuple[str, ...]:
        """The names of the rule's effects as YAML has them; ``drop after`` with its moment."""
        given = self.model_dump(by_alias=True, exclude_defaults=True)
        return tuple(
            f"{name} {given[name]}" if name in {"drop", "vanish"} else name for name in _EFFECTS if name in given
        )

    def matches(self, operation: str, method: str, path: str, caller: str) -> bool:
        """Return whether the rule is about a request, regardless of when it fires."""
        return (
            (self.method is None or self.method == method)
            and self.caller in {"any", caller}
            and any(fnmatchcase(operation, glob) for glob in self.operations)
            and (self.path is None or fnmatchcase(path, self.path))
            # A full account can still be read and emptied.
            and (not self.storage_full or method == "PUT")
        )

    def _effect_error(self) -> str | None:
        effects = self.effects
        if not effects:
            return f"the rule has no effect: give one of {', '.join(_EFFECTS)}"
        final = [effect for effect in effects if effect in _FINAL or effect.startswith("drop")]
        if len(final) > 1:
            return f"only one of these can be the outcome of a request: {', '.join(final)}"
        if self.drop is not None and (lost := [effect for effect in effects if effect in _OF_THE_REPLY]):
            return f"a connection that is dropped has no reply: leave out drop or {', '.join(lost)}"
        if self.vanish == "now" and len(effects) > 1:
            return "vanish: now happens when the rule is added, beside no other effect"
        return None

    def _match_error(self) -> str | None:
        for glob in self.operations:
            if not any(fnmatchcase(name, glob) for name in OPERATIONS):
                near = get_close_matches(glob, OPERATIONS, n=3, cutoff=0.5)
                return f"unknown operation {glob!r}" + (f"; near: {', '.join(near)}" if near else "")
        if self.job is not None and self.operations != ("batch.start",):
            return "job goes with the operation batch.start"
        storage_alone = all(glob.startswith("storage.") for glob in self.operations)
        if (self.vanish is not None or self.storage_full) and not storage_alone:
            return "vanish and storageFull go with operations of storage"
        if self.vanish == "now" and self.path is None:
            return "vanish: now needs a path: /account/container/blob, or a glob"
        return None

    def _moment_error(self) -> str | None:
        if self.nth is not None and (self.share is not None or self.after):
            return "nth goes with neither share nor after"
        chosen = (self.operation, self.method, self.path, self.nth, self.share, self.times, self.after or None)
        if self.retired in {"refused", "name-not-found"} and any(part is not None for part in chosen):
            return f"retired: {self.retired} is about every request: it goes with lasts alone"
        moment = (self.nth, self.share, self.times, self.lasts, self.after or None)
        if self.vanish == "now" and any(part is not None for part in moment):
            return "vanish: now has no other moment"
        return None


_FINAL: Final[Sequence[str]] = ("answer", "storageFull", "retired")
_OF_THE_REPLY: Final[Sequence[str]] = ("cut", "body", "contentType", "trickle")
_EFFECTS: Final[Sequence[str]] = (
    "answer",
    "delay",
    "delayReply",
    "drop",
    "cut",
    "body",
    "contentType",
    "trickle",
    "clockSkew",
    "job",
    "vanish",
    "storageFull",
    "retired",
)
