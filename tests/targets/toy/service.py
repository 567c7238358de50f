"""A tiny service with boards: ``GET /boards``, and ``PUT``, ``PATCH`` and ``DELETE`` of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class BoardService:
    """Its boards by name, and where it is."""

    def __init__(self) -> None:
        self.boards: dict[str, dict[str, Any]] = {}
        self.writes = 0
        self.url = ""

    def answer(self, method: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        if method == "GET":
            return 200, list(self.boards.values())
        self.writes += 1
        if method == "DELETE":
            return (204, None) if self.boards.pop(name, None) else (404, None)
        board = self.boards.setdefault(name, {"name": name, "location": None, "brightness": 50, "label": ""})
        board |= body
        return 200, board


@contextmanager
def serving() -> Iterator[BoardService]:
    """Run the service on loopback."""
    service = BoardService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = service.answer(self.command, self.path.rpartition("/")[2], json.loads(body or b"{}"))
            content = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - the standard library's names

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
