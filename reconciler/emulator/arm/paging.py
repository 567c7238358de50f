"""Pages of Azure Resource Manager's lists: ``$skiptoken`` in, ``nextLink`` out, none on the last page [O].

A token names the last item of its page, so that what is created or deleted meanwhile neither hides an item nor shows
one twice. It is opaque to a client; its form is the emulator's own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import ArmError

_TOKEN = "$skiptoken"  # noqa: S105 - the parameter's name


def page(
    request: web.Request, documents: Mapping[str, Any], keys: Sequence[str], size: int, show: Callable[[Any], Json]
) -> web.Response:
    """Return the page of a list that a request asks for.

    Args:
        request: its ``$skiptoken``, in any casing, says where the page starts.
        documents: what there is, by key.
        keys: the keys that belong to the list, in its order.
        size: the most items of a page.
        show: gives an item's form in the list.

    Raises:
        ArmError: 400 for a token that was not given out here [I].
    """
    query = {name.lower(): (name, value) for name, value in request.query.items()}
    start = _start(query[_TOKEN][1], keys) if _TOKEN in query else 0
    shown = keys[start : start + size]
    body: Json = {"value": [show(documents[key]) for key in shown]}
    if start + size < len(keys):
        token = base64.urlsafe_b64encode(json.dumps([start + size, shown[-1]]).encode()).decode()
        others = [(name, value) for name, value in request.query.items() if name.lower() != _TOKEN]
        # The $ stays as it is in links of ARM.
        parameters = "&".join(f"{quote(name, safe='$')}={quote(value)}" for name, value in [*others, (_TOKEN, token)])
        body["nextLink"] = f"{request.scheme}://{request.host}{request.rel_url.raw_path}?{parameters}"
    return web.json_response(body)


def _start(token: str, keys: Sequence[str]) -> int:
    try:
        position, last = json.loads(base64.urlsafe_b64decode(token.encode()))
        position, last = int(position), str(last)
    except (ValueError, TypeError) as error:
        raise ArmError(400, "InvalidSkipToken", "The value of $skiptoken was not given out by this list.") from error
    # The last item of the page before may be gone; then its place in the list is the best that is known.
    return keys.index(last) + 1 if last in keys else min(max(position - 1, 0), len(keys))
