"""The page at ``/``, for people, and the JSON that it is drawn from.

The page is one file that loads nothing from anywhere. It writes what it shows as text, never as markup, and its
content security policy allows no script but its own, so whatever a service is called, it stays a name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from aiohttp import web

from reconciler.emulator.context import CONTROL_PREFIX
from reconciler.emulator.control.page_state import PageState
from reconciler.emulator.execution.errors import bad_argument

PAGE_PATH: Final = "/"
_LARGEST_LIMIT: Final = 1000
_LONGEST_SEARCH: Final = 200
_ANY: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def page_routes(state: PageState) -> list[web.RouteDef]:
    """Return the page, and ``/_studio/state``."""
    html = (Path(__file__).parent / "page.html").read_text("utf-8")
    headers = {**_ANY, "Content-Security-Policy": _policy(html), "X-Frame-Options": "DENY"}

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def read(request: web.Request) -> web.Response:
        """Answer with the state: ``?search=WORDS`` for what has all of them, ``limit=N`` for that many of each list."""
        search, limit = request.query.get("search", ""), request.query.get("limit", "50")
        if len(search) > _LONGEST_SEARCH or not re.fullmatch(r"[0-9]{1,4}", limit) or int(limit) > _LARGEST_LIMIT:
            raise bad_argument(
                "InvalidQueryParameter",
                f"limit is a number up to {_LARGEST_LIMIT}, and search has at most {_LONGEST_SEARCH} characters.",
            )
        return web.json_response(state.read(search, int(limit)), headers=_ANY)

    return [web.get(PAGE_PATH, page), web.get(f"{CONTROL_PREFIX}state", read)]


def _policy(html: str) -> str:
    """Allow the page's own style and script, by their digests, and calls to its own server."""
    return (
        f"default-src 'none'; style-src {_digest(html, 'style')}; script-src {_digest(html, 'script')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(html: str, element: str) -> str:
    text = html.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
