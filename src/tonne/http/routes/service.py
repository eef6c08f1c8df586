"""What is about the service itself: its health and its documentation page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec
from litestar import Litestar, Response, get
from litestar.params import FromPath

from tonne.domain.errors import NotFound, ServiceUnavailable
from tonne.http.answers import JSON
from tonne.http.openapi import completed
from tonne.http.request import ApiRequest

# Six times as long as it takes when all is well.
SNAPSHOT_AGE_SECONDS_MAX = 30
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "LICENSE": "text/plain",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tonne API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "/v1/openapi.json", dom_id: "#api", deepLinking: true, persistAuthorization: true,
                 defaultModelsExpandDepth: 0, docExpansion: "list"});
</script>
</body>
</html>
"""


@get("/livez", include_in_schema=False, media_type="text/plain", sync_to_thread=False)
def livez() -> str:
    """The process answers."""
    return "ok\n"


@get("/readyz", include_in_schema=False, media_type="text/plain")
async def readyz(request: ApiRequest) -> str:
    """The database answers too."""
    try:
        async with request.services.pool.acquire(timeout=2) as connection:
            await connection.fetchval("SELECT 1", timeout=2)
    except Exception as error:
        raise ServiceUnavailable("The database does not answer.") from error
    if request.services.snapshots.age_seconds > SNAPSHOT_AGE_SECONDS_MAX:
        raise ServiceUnavailable(
            "Accounts, keys and catalogue could not be read for a while; the log says why."
        )
    return "ok\n"


@get("/v1/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi_document(request: ApiRequest) -> Response[bytes]:
    """The OpenAPI 3.1 description."""
    return Response(_document(request.app), media_type=JSON)


@get(["/", "/docs"], include_in_schema=False, media_type="text/html", sync_to_thread=False)
def documentation_page() -> str:
    """The documentation, to read and to try; everything it needs comes from here."""
    return PAGE


@get("/docs/{name:str}", include_in_schema=False, sync_to_thread=False)
def documentation_asset(name: FromPath[str]) -> Response[bytes]:
    """Swagger UI's files."""
    media_type = ASSETS.get(name)
    if media_type is None:
        raise NotFound
    return Response(
        _asset(name), media_type=f"{media_type}; charset=utf-8", headers={"Cache-Control": "max-age=86400"}
    )


@cache
def _document(app: Litestar) -> bytes:
    return msgspec.json.format(msgspec.json.encode(completed(app.openapi_schema.to_schema())), indent=2)


@cache
def _asset(name: str) -> bytes:
    return files("tonne.http").joinpath("swagger_ui", name).read_bytes()
