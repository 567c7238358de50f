"""What the emulator shows of itself under ``/_studio``: for people, and for tests that ask what really happened."""

from aiohttp import web

from reconciler.emulator.context import CONTROL_PREFIX
from reconciler.emulator.control.request_log import RequestLog
from reconciler.emulator.execution.batch_jobs import BatchJobs
from reconciler.emulator.execution.errors import bad_argument


def control_routes(jobs: BatchJobs, log: RequestLog) -> list[web.RouteDef]:
    """Return the routes of the control API; only loopback reaches the server."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def list_jobs(_: web.Request) -> web.Response:
        return web.json_response({"jobs": jobs.listing()})

    async def list_requests(request: web.Request) -> web.Response:
        """Answer with the requests; ``?after=N`` leaves out those up to number N."""
        after = request.query.get("after", "0")
        if not after.isdecimal():
            raise bad_argument("InvalidQueryParameter", "after is the number of a request.")
        return web.json_response({"requests": log.recent(int(after))})

    return [
        web.get(f"{CONTROL_PREFIX}health", health),
        web.get(f"{CONTROL_PREFIX}jobs", list_jobs),
        web.get(f"{CONTROL_PREFIX}requests", list_requests),
    ]
