"""Where faults meet requests: the outer middleware decides and sends, the inner one stands around the work.

The journal stands between the two: it notes what was done and met before the caller can see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TypeAlias

from aiohttp import web

from reconciler.emulator.faults.delivery import HTML_PAGE, body_of, broken, deliver, pause, with_body
from reconciler.emulator.faults.documented_codes import resolve
from reconciler.emulator.faults.job_faults import JobFate
from reconciler.emulator.faults.operation_names import operation_of
from reconciler.emulator.faults.registry import Faults
from reconciler.emulator.faults.rules import Answer, Rule
from reconciler.emulator.faults.visits import OWN_CALL_HEADER, Visit, current
from reconciler.emulator.listening import SkewedClock, skewed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ErrorReply: TypeAlias = Callable[[int, str, str, str], web.Response]
"""Makes an error reply of a status, a general code, a specific code ("" if there is none) and a message."""


@dataclass(frozen=True)
class ErrorReplies:
    """The services' own forms of an error, which a fault rule only names.

    Attributes:
        by_area: by the first word of the operation's name.
        other: that of all other areas.
        provider_gone: that of Azure Resource Manager for a resource provider that no longer exists.
    """

    by_area: Mapping[str, ErrorReply]
    other: ErrorReply
    provider_gone: Callable[[web.Request], web.Response]


class FaultMiddleware:
    """The two middlewares of one emulator.

    Args:
        faults: the rules in force.
        clock: the emulator's.
        accounts: names of the storage accounts.
        replies: the services' own forms of an error.
    """

    def __init__(self, faults: Faults, clock: SkewedClock, accounts: Collection[str], replies: ErrorReplies) -> None:
        self._faults = faults
        self._clock = clock
        self._replies = replies
        self._accounts = frozenset(accounts)

    @web.middleware
    async def outer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Name the request, decide which rules fire, and send the reply."""
        visit = Visit(
            operation_of(request, self._accounts), "studio" if OWN_CALL_HEADER in request.headers else "client"
        )
        visit.fired = self._faults.fired_at(visit.operation, request.method, request.path, visit.caller)
        current.set(visit)
        if not visit.fired:
            return await handler(request)
        for active in visit.fired:
            visit.met += [f"{active.id}: {effect}" for effect in active.effects]
        response = await handler(request)
        return await deliver(self._faults, visit, request, response)

    @web.middleware
    async def inner(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Delay the work, skip it, undo what it wrote or garble its reply, as the rules say."""
        visit = current.get()
        if visit is None or not visit.fired:
            return await handler(request)
        with ExitStack() as open_skews:
            for rule in visit.rules:
                if rule.clock_skew is not None:
                    open_skews.enter_context(skewed(rule.clock_skew))
            for active in visit.fired:
                if active.rule.delay is not None and not await pause(self._faults, active, active.rule.delay):
                    visit.dropped = True
                    return web.Response()
            response = await self._outcome(visit, request, handler)
            if isinstance(response, web.Response) and not response.prepared:
                self._garble(visit.rules, response)
        return response

    async def _outcome(self, visit: Visit, request: web.Request, handler: Handler) -> web.StreamResponse:
        for rule in visit.rules:
            if rule.drop == "before" or rule.retired in {"refused", "reset", "name-not-found"}:
                # Read to its end: the caller shall see a closed connection, not an upload that breaks off.
                await request.release()
                visit.dropped, visit.reset = True, rule.retired is not None
                return web.Response()
            ordered = self._instead(rule, visit, request)
            if ordered is not None:
                await request.release()
                return ordered
        ordered_jobs = self._order_jobs(visit, request)
        for rule in visit.rules:
            if rule.vanish == "before":
                self._faults.delete_blob(request.path)
        response = await handler(request)
        for rule in visit.rules:
            if rule.vanish == "after" and response.status < 400:
                self._faults.delete_blob(request.path)
        if response.status >= 400:
            for job_id in ordered_jobs:
                self._faults.jobs.withdraw(job_id)
        visit.dropped = any(rule.drop == "after" for rule in visit.rules)
        answer = next((rule.answer for rule in visit.rules if rule.answer is not None), None)
        return response if answer is None else self._answer(answer, visit)

    def _order_jobs(self, visit: Visit, request: web.Request) -> list[str]:
        job_id = request.match_info.get("job", "").lower()
        return [
            job_id
            for active in visit.fired
            if active.rule.job is not None and self._faults.jobs.order(job_id, JobFate(active.rule.job, active.gone))
        ]

    def _garble(self, rules: list[Rule], response: web.Response) -> None:
        for rule in rules:
            body = body_of(response)
            if rule.body is not None and body:
                with_body(response, {"broken": broken(body), "html": HTML_PAGE, "empty": b""}[rule.body])
                if rule.body == "html":
                    response.headers["Content-Type"] = "text/html; charset=utf-8"
            if rule.content_type is not None:
                response.headers["Content-Type"] = rule.content_type
        if any(rule.clock_skew is not None for rule in rules):
            response.headers["Date"] = format_datetime(self._clock(), usegmt=True)

    def _instead(self, rule: Rule, visit: Visit, request: web.Request) -> web.Response | None:
        """Return the reply of a rule that does without the work."""
        if rule.answer is not None and not rule.answer.after_work:
            return self._answer(rule.answer, visit)
        if rule.storage_full:
            return self._answer(
                Answer(code="InsufficientAccountPermissions", message="Write operations are not allowed."), visit
            )
        if rule.retired in {"404", "410"}:
            return web.Response(status=int(rule.retired), body=HTML_PAGE, content_type="text/html")
        if rule.retired == "NoRegisteredProviderFound":
            return self._replies.provider_gone(request)
        return None

    def _answer(self, answer: Answer, visit: Visit) -> web.Response:
        status = answer.status or 200
        if answer.code is not None:
            area = visit.operation.partition(".")[0]
            reply = self._replies.by_area.get(area, self._replies.other)
            message = answer.message or "This answer was ordered by a fault rule."
            response = reply(*resolve(area, answer.code, answer.status), message)
        elif answer.body is None:
            response = web.Response(status=status)
        elif isinstance(answer.body, str):
            response = web.Response(status=status, text=answer.body)
        else:
            response = web.json_response(answer.body, status=status)
        response.headers.update(answer.headers)
        return response
