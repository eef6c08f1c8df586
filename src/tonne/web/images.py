"""Pictures of projects, bundles and accounts, for whoever has their address."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from tonne.domain.errors import NotFound
from tonne.domain.images import EXTENSIONS
from tonne.storage.database import Pool
from tonne.storage.images import find_image

_NAME = re.compile(r"([0-9a-f]{64})\.([a-z]{3,4})")
HEADERS = {
    # The address names the bytes: they never change.
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    # A drawing opened by itself runs and loads nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@get("/{name:str}")
async def show_image(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A picture by its hash."""
    named = _NAME.fullmatch(name)
    if named is None:
        raise NotFound
    pool: Pool = request.app.state["services"].pool
    async with pool.acquire(timeout=5) as connection:
        found = await find_image(connection, bytes.fromhex(named[1]))
    if found is None or EXTENSIONS[found[0]] != named[2]:
        raise NotFound
    return Response(found[1], media_type=found[0], headers=HEADERS)


IMAGES = Router("/images", route_handlers=[show_image], request_class=Request, include_in_schema=False)
