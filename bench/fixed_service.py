"""The least that the framework can do: a handler that answers with a body that is made already.

    FIXED_BODIES=FILE python fixed_service.py PORT WORKERS

FILE maps `METHOD /path?query` to bodies. Routing, reading of the request, headers and sending are Litestar's and uvicorn's, with
the options and processes that Tonne is served with; nothing else is done.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from tonne.cli.workers import BACKLOG, Workers, reserve_port

BODIES: dict[str, str] = json.loads(Path(os.environ["FIXED_BODIES"]).read_text(encoding="utf-8"))


Asked = Request[Any, Any, Any]


def handler(method: str, path: str, bodies: dict[bytes, bytes]) -> HTTPRouteHandler:
    """A handler that answers with a body, by the query."""
    if method == "GET":

        @get(path, name=f"get {path}")
        async def answer(request: Asked) -> Response[bytes]:
            return Response(bodies[request.scope["query_string"]], media_type="application/json")

        return answer

    @post(path, status_code=200, name=f"post {path}")
    async def answer_to_post(request: Asked) -> Response[bytes]:
        await request.body()
        return Response(bodies[request.scope["query_string"]], media_type="application/json")

    return answer_to_post


def create_app() -> Litestar:
    """The service, for each process that serves it."""
    by_path: dict[tuple[str, str], dict[bytes, bytes]] = {}
    for name, body in BODIES.items():
        method, _, target = name.partition(" ")
        path, _, query = target.partition("?")
        by_path.setdefault((method, path), {})[query.encode()] = body.encode()
    handlers = [handler(method, path, bodies) for (method, path), bodies in by_path.items()]
    return Litestar(handlers, logging_config=None, openapi_config=None)


def main() -> None:
    """Serve until asked to end."""
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    config = uvicorn.Config(
        "fixed_service:create_app",
        factory=True,
        port=port,
        workers=workers,
        http="tonne.http.one_write:OneWriteProtocol",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )
    if workers > 1:
        with reserve_port(socket.AF_INET, "127.0.0.1", port) as reserved:
            Workers(config, reserved, lambda: None).run()
    else:
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
