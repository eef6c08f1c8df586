"""How pages are made: templates that escape whatever is put into them, and headers that let nothing else in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response

# Nothing is loaded from elsewhere, no script runs, and no other site shows a page in its frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


def page(
    template: str, *, status_code: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> Response[str]:
    """A page from a template and the values in it; `headers` go beside those of every page."""
    text = _templates().get_template(template).render(values)
    sent = {**HEADERS, **(headers or {})}
    return Response(text, status_code=status_code, media_type="text/html", headers=sent)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("tonne.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
