"""Sending a request to an endpoint that somebody else chose: to public addresses only, within limits, without surprises.

No redirect is followed, no proxy variable read, no cookie kept. A connection is made to the very address that was checked,
anew for each request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

import certifi
import httpcore

from tonne.webhooks.addresses import Network, is_allowed, read_address

TIMEOUT_SECONDS = 30.0
ANSWER_BYTES_MAX = 64_000
ANSWER_BYTES_KEPT = 1024
URL_LENGTH_MAX = 2000
_PORTS = {"https": 443, "http": 80}
_RESOLVING_MAX = 32
_OK, _REDIRECTS = range(200, 300), range(300, 400)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class UrlNotUsable(Exception):
    """A URL can't be an endpoint; the message says what would be right."""


class AddressForbidden(Exception):
    """A host is at an address that is not sent to."""


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What the operator allows: http for local development, networks that are not public, and how long to wait."""

    allow_http: bool = False
    allowed_networks: tuple[Network, ...] = ()
    timeout_seconds: float = TIMEOUT_SECONDS

    def check_url(self, url: str) -> SplitResult:
        """Read the URL of an endpoint.

        Raises:
            UrlNotUsable: it is none, not https, or names an address that is not sent to.
        """
        parts = _split(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            msg = "must begin with https://"
            raise UrlNotUsable(msg)
        if parts.username is not None or parts.password is not None or parts.fragment:
            msg = "must have no user, password or fragment"
            raise UrlNotUsable(msg)
        address = read_address(parts.hostname or "")
        if address is not None and not is_allowed(address, self.allowed_networks):
            msg = f"{address} is not a public address"
            raise UrlNotUsable(msg)
        return parts


def _split(url: str) -> SplitResult:
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url or len(url) > URL_LENGTH_MAX:
        msg = f"must be a URL of at most {URL_LENGTH_MAX} ASCII characters; write other hosts in Punycode"
        raise UrlNotUsable(msg)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or not parts.hostname:
        msg = "must be a URL with a host, such as https://example.com/hook"
        raise UrlNotUsable(msg)
    return parts


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: a status and the first kilobyte of the answer, or what went wrong."""

    duration_ms: int
    status: int | None = None
    error: str | None = None
    answer: bytes = b""
    retry_after: timedelta | None = None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the endpoint took it: it said 2xx in time, whatever became of the rest of its answer."""
        return self.status in _OK

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint asks for nothing more, ever."""
        return self.status == HTTPStatus.GONE


@dataclass(slots=True)
class Sender:
    """Sends requests; any number at once."""

    rules: SendingRules = field(default_factory=SendingRules)
    resolve: Resolve | None = None
    _pool: httpcore.AsyncConnectionPool = field(init=False)

    def __post_init__(self) -> None:
        tls = ssl.create_default_context(cafile=certifi.where())
        # What the system trusts, too, or SSL_CERT_FILE names.
        tls.load_default_certs()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=0,
            http2=False,
            retries=0,
            network_backend=_CheckedNetwork(self.rules, self.resolve or _resolve),
        )

    async def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answered:
        """POST a body; whatever goes wrong is told and not raised."""
        began = monotonic()
        status, answer, retry_after, error = None, b"", None, None
        try:
            parts = self.rules.check_url(url)
            async with asyncio.timeout(self.rules.timeout_seconds):
                request = self._pool.stream(
                    "POST", _target(parts), headers=_headers(parts, headers, body), content=body
                )
                async with request as response:
                    status = response.status
                    retry_after = _retry_after(response.headers)
                    if status in _REDIRECTS:
                        error = "redirects are not followed: give the URL that they lead to"
                    async for part in response.aiter_stream():
                        answer += part
                        if len(answer) >= ANSWER_BYTES_MAX:
                            # Nobody reads more of it; leaving closes the connection.
                            break
        except TimeoutError:
            error = f"no whole answer within {self.rules.timeout_seconds:g} s"
        except (UrlNotUsable, AddressForbidden) as refused:
            error = str(refused)
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as failed:
            error = f"{type(failed).__name__}: {failed}"[:500]
        duration_ms = int((monotonic() - began) * 1000)
        return Answered(duration_ms, status, error, answer[:ANSWER_BYTES_KEPT], retry_after)

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """The one place where connections are made."""

    def __init__(self, rules: SendingRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- as the interface has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not addresses:
            msg = f"{host} has no address"
            raise AddressForbidden(msg)
        for text in addresses:
            address = read_address(text)
            if address is None or not is_allowed(address, self._rules.allowed_networks):
                msg = f"{host} is at {text}, which is not a public address"
                raise AddressForbidden(msg)
        failed: Exception = AddressForbidden(host)
        for text in addresses:
            try:
                return await self._network.connect_tcp(text, port, timeout, local_address, socket_options)
            except (OSError, httpcore.NetworkError) as error:
                failed = error
        raise failed


# Of its own: names that are not answered for would keep everybody else who needs a thread waiting.
_resolving = ThreadPoolExecutor(_RESOLVING_MAX, "resolving")


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().run_in_executor(
        _resolving, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def _target(parts: SplitResult) -> httpcore.URL:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme, host=parts.hostname or "", port=parts.port or _PORTS[parts.scheme], target=path
    )


def _headers(
    parts: SplitResult, headers: Mapping[str, str], body: bytes
) -> list[tuple[bytes | str, bytes | str]]:
    own = {"Host": parts.netloc, "Content-Length": str(len(body)), "Accept": "*/*", "Connection": "close"}
    return [*own.items(), *headers.items()]


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> timedelta | None:
    text = (
        next((value for name, value in headers if name.lower() == b"retry-after"), b"")
        .decode("latin-1")
        .strip()
    )
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**6))
    with suppress(ValueError, TypeError, OverflowError):
        return max(parsedate_to_datetime(text) - datetime.now(UTC), timedelta(0))
    return None
