"""A request of the API: who is calling, what is known, and a body that was read strictly."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from litestar.types import HTTPReceiveMessage

from tonne.application.manage_webhooks import WebhookDesk
from tonne.application.order_desk import OrderDesk
from tonne.application.proofs import Links, ProofDesk
from tonne.domain.accounts import Account, Caller
from tonne.domain.audit import Actor
from tonne.domain.catalogue import Catalogue
from tonne.domain.errors import PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from tonne.domain.orders import Order
from tonne.http.front_door import CALLER, REQUEST_ID, SNAPSHOT
from tonne.http.strict_json import read_json
from tonne.storage.database import Pool
from tonne.storage.group_commit import GroupCommit
from tonne.storage.orders import WantedOrder
from tonne.storage.snapshot import Snapshot, SnapshotKeeper
from tonne.wire.common import Nothing

BODY_BYTES_MAX: Final = 100_000
Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers call."""

    pool: Pool
    desk: OrderDesk
    snapshots: SnapshotKeeper
    proofs: ProofDesk
    webhooks: WebhookDesk
    orders: GroupCommit[WantedOrder, Order | None]

    @property
    def links(self) -> Links:
        return self.proofs.links

    @property
    def operator_name(self) -> str:
        """Who runs the service: who sells the credits, and signs certificates."""
        return self.proofs.signing_key.name


class ApiRequest(Request[Caller, Any, State]):
    """Litestar's request with our caller and our way of reading bodies and queries."""

    _whole_body: bytes | None = None

    @property
    def services(self) -> Services:
        return cast("Services", self.app.state["services"])

    @property
    def caller(self) -> Caller:
        return cast("Caller", self.scope[CALLER])  # type: ignore[literal-required]

    @property
    def account(self) -> Account:
        return self.caller.account

    @property
    def actor(self) -> Actor:
        """The caller, as the audit log has it."""
        return Actor.of_key(self.caller.key, self.request_id)

    @property
    def catalogue(self) -> Catalogue:
        return cast("Snapshot", self.scope[SNAPSHOT]).catalogue  # type: ignore[literal-required]

    async def find_account(self, account_id: UUID | None) -> Account | None:
        """An account of any organisation, of the key's mode: for operators."""
        snapshots = self.services.snapshots
        if account_id is not None and account_id not in snapshots.current.directory.accounts:
            # Opened a moment ago, in another process.
            await snapshots.refresh()
        account = None if account_id is None else snapshots.current.directory.accounts.get(account_id)
        return None if account is None or account.mode is not self.caller.key.mode else account

    @property
    def request_id(self) -> str:
        return cast("str", self.scope[REQUEST_ID])  # type: ignore[literal-required]

    async def body(self) -> bytes:
        """Read the whole body.

        Raises:
            UnsupportedMediaType: it is not declared to be JSON in UTF-8.
            PayloadTooLarge: it is over 100 kB; no more than that is read.
            ValidationFailed: there is none.
        """
        _refuse_other_media_types(self.scope["headers"])
        if self._whole_body is None:
            self._whole_body = await self._receive_body()
        body = self._whole_body
        if not body:
            raise ValidationFailed.at("", "this request needs a JSON body")
        return body

    async def refuse_content(self) -> None:
        """Read the body of an operation that takes none: nothing at all, or `{}`.

        Raises:
            TonneError: there is anything in it, or as `body` and `read_json`.
        """
        await self.optional_body(Nothing)

    async def optional_body(self, kind: type[Body]) -> Body | None:
        """Read a body that may be left out.

        Raises:
            TonneError: as `body` and `read_json`.
        """
        self._whole_body = await self._receive_body()
        return read_json(await self.body(), kind) if self._whole_body else None

    async def receive_bytes(self, bytes_max: int) -> bytes:
        """Read a body that is not JSON, whatever it is declared to be.

        Raises:
            PayloadTooLarge: it is larger; no more than that is read.
        """
        return await self._receive_body(bytes_max)

    async def file(self, media_types: Collection[str], *, bytes_max: int) -> tuple[bytes, str]:
        """Read a body that is a file; returns it with its media type.

        Raises:
            UnsupportedMediaType: it is not declared to be of one of the types, in UTF-8.
            PayloadTooLarge: it is over `bytes_max`; no more than that is read.
        """
        media_type = _media_type(self.scope["headers"])
        if media_type is None or media_type not in media_types:
            raise UnsupportedMediaType(f"Send the body as {' or '.join(media_types)}, in UTF-8.")
        return await self._receive_body(bytes_max), media_type

    async def _receive_body(self, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        # Litestar's own reading streams through two generators, and costs a tenth of an order.
        parts: list[bytes] = []
        size = 0
        while True:
            message = cast("HTTPReceiveMessage", await self.receive())
            if message["type"] == "http.disconnect":
                raise ValidationFailed.at("", "the connection was closed before the whole body was sent")
            parts.append(message["body"])
            size += len(message["body"])
            if size > bytes_max:
                if bytes_max == BODY_BYTES_MAX:
                    raise PayloadTooLarge
                raise PayloadTooLarge(
                    f"This body may have at most {bytes_max // 10**6} MB ({bytes_max} bytes)."
                )
            if not message["more_body"]:
                return b"".join(parts)

    async def json(self) -> Any:
        """Read the body as what the handler declares its `data` to be.

        Raises:
            TonneError: as `body` and `read_json`.
        """
        declared = self.route_handler.parsed_data_field
        assert declared is not None
        return read_json(await self.body(), declared.annotation)

    def query(self, *names: str) -> dict[str, str]:
        """Read the query string; `name[]` among `names` stands for any `name[key]`.

        Raises:
            ValidationFailed: a parameter that is not one of `names`, or one given twice.
        """
        found: dict[str, str] = {}
        text = self.scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
        except (UnicodeDecodeError, ValueError):
            raise ValidationFailed.at(
                "", "the query string is not UTF-8, or has over 100 parameters"
            ) from None
        for name, value in pairs:
            prefix, bracket, _ = name.partition("[")
            if name not in names and not (bracket and name.endswith("]") and f"{prefix}[]" in names):
                known = ", ".join(names).replace("[]", "[key]") or "none"
                raise ValidationFailed.at(name, f"is not a parameter of this operation; it takes: {known}")
            if name in found:
                raise ValidationFailed.at(name, "is given twice")
            if "\x00" in value + name:
                raise ValidationFailed.at(name.replace("\x00", ""), "must not contain NUL")
            found[name] = value
        return found


def _refuse_other_media_types(headers: Iterable[tuple[bytes, bytes]]) -> None:
    declared = [value for name, value in headers if name == b"content-type"]
    if declared != [b"application/json"] and _media_type(headers) != "application/json":
        raise UnsupportedMediaType


def _media_type(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What the body is declared to be; None where it is not told, or told twice.

    Raises:
        UnsupportedMediaType: its charset is not UTF-8.
    """
    declared = [value for name, value in headers if name == b"content-type"]
    if len(declared) != 1:
        return None
    media_type, *parameters = [part.strip().lower() for part in declared[0].decode("latin-1").split(";")]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(f"The body's charset must be utf-8, not {value.strip()[:40]}.")
    return media_type
