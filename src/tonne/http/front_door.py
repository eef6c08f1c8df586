"""The outermost layer: who is calling, how often, and the headers that every answer has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from tonne.application.identifiers import read_id, utc_now
from tonne.domain.accounts import ApiKey, Caller, Directory, Network
from tonne.domain.api_keys import hash_api_key, is_well_formed
from tonne.domain.errors import (
    AccountScopeIncorrect,
    AddressNotAllowed,
    ApiVersionInvalid,
    ServiceUnavailable,
    TonneError,
    Unauthorised,
)
from tonne.http.addresses import client_address
from tonne.http.answers import COMMON_HEADERS, error_answer
from tonne.http.rate_limits import RateLimiter, headers
from tonne.storage.snapshot import SnapshotKeeper

API_VERSIONS = frozenset({b"2024-08-08"})
API_VERSION = b"2024-08-08"
# Below /v1, the description of the API itself is the one thing that needs no key.
OPEN_PATHS = frozenset({"/v1/openapi.json"})
ACCOUNT_HEADERS = frozenset({b"lune-account", b"tonne-account"})
CALLER = "tonne.caller"
SNAPSHOT = "tonne.snapshot"
REQUEST_ID = "tonne.request_id"


@dataclass(slots=True)
class FrontDoor:
    """An ASGI application around the API's: it lets callers in, or answers for it."""

    app: ASGIApp
    limiter: RateLimiter
    trusted_proxies: tuple[Network, ...] = ()
    # Handed over when the services are up, before the first request.
    snapshots: SnapshotKeeper = field(init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id = os.urandom(12).hex().encode()
        common = [(b"x-request-id", request_id), (b"cf-ray", request_id), (b"lune-version", API_VERSION)]
        scope[REQUEST_ID] = request_id.decode()  # type: ignore[literal-required]
        scope[COMMON_HEADERS] = common  # type: ignore[literal-required]

        async def send_with_common_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                start: HTTPResponseStartEvent = message
                start["headers"] = [*start["headers"], *common]
            await send(message)

        path = scope["path"]
        # The router takes doubled slashes for one: they must not lead around this door.
        if (path.startswith("/v1/") or "//" in path) and path not in OPEN_PATHS:
            try:
                self._let_in(scope, common)
            except TonneError as error:
                await error_answer(error, path=path).as_asgi(scope, receive, send_with_common_headers)
                return
        else:
            common += headers(
                self.limiter.default_per_second, remaining=self.limiter.default_per_second, full_in_seconds=0
            )
        await self.app(scope, receive, send_with_common_headers)

    def _let_in(self, scope: Scope, common: list[tuple[bytes, bytes]]) -> None:
        sent = _single_headers(scope)
        snapshot = self.snapshots.current
        try:
            if self.snapshots.has_lapsed:
                raise ServiceUnavailable
            key = _find_key(sent.get(b"authorization"), snapshot.directory)
            self._refuse_unfit(key, scope)
        except TonneError:
            default = self.limiter.default_per_second
            common += headers(default, remaining=default, full_in_seconds=0)
            raise
        common += self._limit(key, common)
        version = sent.get(b"lune-version")
        if version is not None and version not in API_VERSIONS:
            raise ApiVersionInvalid
        scope[SNAPSHOT] = snapshot  # type: ignore[literal-required]
        scope[CALLER] = _caller(key, scope, sent, snapshot.directory)  # type: ignore[literal-required]

    def _refuse_unfit(self, key: ApiKey, scope: Scope) -> None:
        if key.expires_at is not None and key.has_expired(utc_now()):
            raise Unauthorised("This API key has expired: ask for a new one.")
        if key.allowed_networks and not key.may_come_from(client_address(scope, self.trusted_proxies)):
            raise AddressNotAllowed

    def _limit(self, key: ApiKey, common: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        try:
            return self.limiter.take(key)
        except TonneError:
            limit = key.rate_limit_per_second or self.limiter.default_per_second
            common += headers(limit, remaining=0, full_in_seconds=1)
            raise


def _single_headers(scope: Scope) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name == b"authorization" and name in found:
            raise Unauthorised("Send one Authorization header, not several.")
        found[name] = value
    return found


def _find_key(authorization: bytes | None, directory: Directory) -> ApiKey:
    if authorization is None:
        raise Unauthorised
    scheme, _, key = authorization.decode("latin-1").partition(" ")
    key = key.strip(" ")
    if scheme.lower() != "bearer":
        raise Unauthorised
    try:
        return directory.key(hash_api_key(key))
    except Unauthorised:
        if is_well_formed(key):
            raise
        raise Unauthorised("This is no API key of this service: check that it was copied whole.") from None


def _caller(key: ApiKey, scope: Scope, sent: Mapping[bytes, bytes], directory: Directory) -> Caller:
    if ACCOUNT_HEADERS.isdisjoint(sent):
        return directory.caller(key, None)
    named = {value for name, value in scope["headers"] if name in ACCOUNT_HEADERS}
    if len(named) > 1:
        # Guessing which of them is meant could buy for the wrong one.
        raise AccountScopeIncorrect
    text = named.pop().decode("latin-1")
    return directory.caller(key, read_id(text) or text)
