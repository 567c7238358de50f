"""Where faults meet requests: the outer middleware decides and sends, the inner one stands around the work.

The journal stands between the two: it notes what was done and met before the caller can see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack

from aiohttp import web

from reconciler.emulator.arm import errors as arm_errors
from reconciler.emulator.faults.delivery import HTML_PAGE, body_of, broken, deliver, pause, with_body
from reconciler.emulator.faults.documented_codes import reply_for
from reconciler.emulator.faults.job_faults import JobFate
from reconciler.emulator.faults.operation_names import operation_of
from reconciler.emulator.faults.registry import Faults
from reconciler.emulator.faults.rules import Answer, Rule
from reconciler.emulator.faults.visits import OWN_CALL_HEADER, Visit, current
from reconciler.emulator.listening import SkewedClock, skewed
from reconciler.emulator.storage.xml import http_date

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PROVIDER_TYPE = "Microsoft.MachineLearning/webServices"


class FaultMiddleware:
    """The two middlewares of one Studio.

    Args:
        faults: the rules in force.
        clock: the Studio's.
        accounts: names of the storage accounts.
    """

    def __init__(self, faults: Faults, clock: SkewedClock, accounts: Collection[str]) -> None:
        self._faults = faults
        self._clock = clock
        self._accounts = frozenset(accounts)

    @web.middleware
    async def outer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Names the request, decides which rules fire, and sends the reply."""
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
        """Stands around the work: delays it, does without it, undoes what it wrote, garbles its reply."""
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
            ordered = _instead(rule, visit, request)
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
        return response if answer is None else _answer(answer, visit)

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
            response.headers["Date"] = http_date(self._clock())


def _instead(rule: Rule, visit: Visit, request: web.Request) -> web.Response | None:
    """Return the reply of a rule that does without the work."""
    if rule.answer is not None and not rule.answer.after_work:
        return _answer(rule.answer, visit)
    if rule.storage_full:
        return _answer(
            Answer(code="InsufficientAccountPermissions", message="Write operations are not allowed."), visit
        )
    if rule.retired in {"404", "410"}:
        return web.Response(status=int(rule.retired), body=HTML_PAGE, content_type="text/html")
    if rule.retired == "NoRegisteredProviderFound":
        error = arm_errors.unsupported_api_version(request.query.get("api-version", ""), _PROVIDER_TYPE, [])
        return web.json_response(error.body(), status=error.status)
    return None


def _answer(answer: Answer, visit: Visit) -> web.Response:
    if answer.code is not None:
        area = visit.operation.partition(".")[0]
        status, content_type, body, headers = reply_for(area, answer.code, answer.status, answer.message)
        return web.Response(
            status=status, body=body, headers={"Content-Type": content_type, **headers, **answer.headers}
        )
    status = answer.status or 200
    if answer.body is None:
        return web.Response(status=status, headers=answer.headers)
    if isinstance(answer.body, str):
        text_headers = {"Content-Type": "text/plain; charset=utf-8", **answer.headers}
        return web.Response(status=status, body=answer.body.encode(), headers=text_headers)
    response = web.json_response(answer.body, status=status)
    response.headers.update(answer.headers)
    return response
