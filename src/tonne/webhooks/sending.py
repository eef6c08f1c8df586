"""Sending a request to an endpoint that somebody else chose: to public addresses only, within limits, without surprises.

No redirect is followed, no proxy variable read, no cookie kept. A connection is made to the very address that was checked,
anew for each request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import certifi
import httpcore
import structlog

from tonne.domain.webhooks import room_for_more
from tonne.webhooks.addresses import Network, is_allowed, read_address

TIMEOUT_SECONDS = 30.0
ANSWER_BYTES_MAX = 64_000
ANSWER_BYTES_KEPT = 1024
# With the head, whatever comes before it, and how the body is wrapped.
RAW_BYTES_MAX = ANSWER_BYTES_MAX + 100_000
# How long what follows the head of an answer is waited for.
BODY_SECONDS = 1.0
CONNECT_SECONDS = 10.0
URL_LENGTH_MAX = 2000
_PORTS = {"https": 443, "http": 80}
# Names that are looked up at once: for all, and for one organisation.
_RESOLVING_MAX = 256
_RESOLVING_FOR_ONE_MAX = 64
_RETRY_AFTER_DIGITS = 6
_ERROR_LENGTH_MAX = 500
_OK, _REDIRECTS = range(200, 300), range(300, 400)

log = structlog.get_logger(__name__)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class UrlNotUsable(Exception):
    """A URL can't be an endpoint; the message says what would be right."""


class AddressForbidden(Exception):
    """A host has no address, or one that is not sent to."""


class ResolvingBusy(Exception):
    """So many names are being looked up, for this organisation or for all, that this one has to wait.

    Its endpoint has no part in it.
    """


class _NotConnected(Exception):
    """An address took no connection in time; the message says in which."""


class _TooMuch(Exception):
    """More came than anybody reads."""


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
        # Refuses empty labels and long ones, which no name has.
        (parts.hostname or "").rstrip(".").encode("idna")
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
class _Heard:
    """What came of an answer by now."""

    status: int | None = None
    answer: bytearray = field(default_factory=bytearray)
    retry_after: timedelta | None = None


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

    async def send(
        self, url: str, *, headers: Mapping[str, str], body: bytes, organisation_id: UUID
    ) -> Answered:
        """POST an organisation's body; whatever goes wrong at the endpoint is told and not raised.

        Raises:
            ResolvingBusy: its name could not be looked up for want of room; nothing was sent.
        """
        _sending_for.set(organisation_id)
        began = monotonic()
        heard = _Heard()
        error = None
        try:
            await self._talk(url, headers, body, heard)
        except ResolvingBusy:
            raise
        except Exception as failed:  # noqa: BLE001 -- what an endpoint makes of its answer must not be our failure
            error = self._told(failed, heard, url)
        if heard.status in _REDIRECTS:
            error = "redirects are not followed: give the URL that they lead to"
        duration_ms = int((monotonic() - began) * 1000)
        return Answered(
            duration_ms, heard.status, error, bytes(heard.answer[:ANSWER_BYTES_KEPT]), heard.retry_after
        )

    async def _talk(self, url: str, headers: Mapping[str, str], body: bytes, heard: _Heard) -> None:
        parts = self.rules.check_url(url)
        async with asyncio.timeout(self.rules.timeout_seconds) as limit:
            request = self._pool.stream(
                "POST", _target(parts), headers=_headers(parts, headers, body), content=body
            )
            async with request as response:
                heard.status = response.status
                heard.retry_after = _retry_after(response.headers)
                # What it says beside is for people to read: it keeps nobody waiting.
                limit.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS)
                async for part in response.aiter_stream():
                    heard.answer += part
                    if len(heard.answer) >= ANSWER_BYTES_MAX:
                        # Nobody reads more of it; leaving closes the connection.
                        break

    def _told(self, failed: Exception, heard: _Heard, url: str) -> str | None:
        """What to say of a failure; nothing where the endpoint had said all that counts."""
        if heard.status is not None and isinstance(failed, TimeoutError | _TooMuch | httpcore.NetworkError):
            return None
        match failed:
            case _TooMuch():
                return f"over {RAW_BYTES_MAX} bytes before an answer"
            case TimeoutError():
                return f"no answer within {self.rules.timeout_seconds:g} s"
            case UrlNotUsable() | AddressForbidden() | _NotConnected():
                return str(failed)
            case OSError() | httpcore.NetworkError() | httpcore.ProtocolError() | httpcore.TimeoutException():
                return f"{type(failed).__name__}: {failed}"[:_ERROR_LENGTH_MAX]
        log.error("sending_failed", url=url, exc_info=failed)
        return f"the answer can't be read: {type(failed).__name__}"

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
        addresses = [host] if read_address(host) is not None else await self._resolve(host, port)
        if not addresses:
            msg = f"{host} has no address"
            raise AddressForbidden(msg)
        for text in addresses:
            address = read_address(text)
            if address is None or not is_allowed(address, self._rules.allowed_networks):
                # Which address is for the operator alone: names may have others within a network than outside.
                log.warning("webhook_address_forbidden", host=host, address=text)
                msg = f"{host} is not at a public address"
                raise AddressForbidden(msg)
        failed: Exception = AddressForbidden(host)
        for text in addresses:
            try:
                # Each address has its share: one that does not answer leaves time for the next.
                async with asyncio.timeout(CONNECT_SECONDS):
                    stream = await self._network.connect_tcp(
                        text, port, timeout, local_address, socket_options
                    )
                return _Counted(stream)
            except TimeoutError:
                failed = _NotConnected(f"no connection within {CONNECT_SECONDS:g} s")
            except (OSError, httpcore.NetworkError) as error:
                failed = error
        raise failed


class _Counted(httpcore.AsyncNetworkStream):
    """A connection from which only so much is read, whatever it is that comes."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        found = await self._stream.read(max_bytes, timeout)
        self._read += len(found)
        if self._read > RAW_BYTES_MAX:
            raise _TooMuch
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Counted(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


# Of its own: names that are not answered for would keep everybody else who needs a thread waiting.
_resolving = ThreadPoolExecutor(_RESOLVING_MAX, "resolving")
_looked_up: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}
_looked_up_for: Counter[UUID] = Counter()
# Whose name it is: the HTTP client hands nothing of its caller's on to the network.
_sending_for: ContextVar[UUID] = ContextVar("_sending_for")


async def _resolve(host: str, port: int) -> Sequence[str]:
    # A name that is not answered for takes one thread, however many ask for it.
    found = _looked_up.get((host, port))
    if found is None:
        found = _look_up_beside(host, port, for_one=_sending_for.get())
    return await asyncio.shield(found)


def _look_up_beside(host: str, port: int, *, for_one: UUID) -> asyncio.Future[Sequence[str]]:
    room = room_for_more(
        own=_looked_up_for[for_one],
        own_max=_RESOLVING_FOR_ONE_MAX,
        together=len(_looked_up),
        together_max=_RESOLVING_MAX,
    )
    if not room:
        raise ResolvingBusy
    found = asyncio.get_running_loop().run_in_executor(_resolving, _look_up, host, port)
    _looked_up[host, port] = found
    _looked_up_for[for_one] += 1

    def ended(_: asyncio.Future[Sequence[str]]) -> None:
        # Later than the request, maybe: the thread is taken as long as nobody answers for the name.
        del _looked_up[host, port]
        _looked_up_for[for_one] -= 1
        if not _looked_up_for[for_one]:
            del _looked_up_for[for_one]

    found.add_done_callback(ended)
    return found


def _look_up(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        msg = f"the name {host} can't be looked up: {error.strerror}"
        raise AddressForbidden(msg) from None
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
        # Of more digits nobody waits for the end.
        return timedelta(seconds=int(text) if len(text) <= _RETRY_AFTER_DIGITS else 10**_RETRY_AFTER_DIGITS)
    with suppress(ValueError, TypeError, OverflowError):
        return max(parsedate_to_datetime(text) - datetime.now(UTC), timedelta(0))
    return None
