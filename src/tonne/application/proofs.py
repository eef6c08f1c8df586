"""Proof that credits were retired: certificates, public pages, and whether a file is one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tonne.certificates.languages import Language
from tonne.certificates.rendering import render_certificate
from tonne.certificates.signing import Signer, create_signer, load_signer, sign_certificate
from tonne.certificates.verifying import Verdict, check_certificate_file, superseded
from tonne.domain.accounts import Account, Mode
from tonne.domain.certificate import Certificate, CertifiedRetirement, Logo
from tonne.domain.errors import NotFound, ServiceUnavailable
from tonne.domain.images import image_digest
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.progress import OrderPart
from tonne.domain.proof import ProofCodes
from tonne.storage.certificates import (
    find_certificate,
    find_issue,
    keep_certificate,
    lock_order,
    trust_certificate,
    trusted_certificates,
)
from tonne.storage.database import Connection, Pool
from tonne.storage.images import find_image
from tonne.storage.orders import find_order
from tonne.storage.progress import find_order_parts
from tonne.storage.replacements import load_aftermath
from tonne.storage.snapshot import SnapshotKeeper

# Setting and signing are work for a processor, of which there are few.
THREADS = 2
# Each time, something became of the order's credits while the certificate was set.
_SETTING_TRIES_MAX = 5


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Where the key that signs certificates is: a PKCS#12 file, or else a folder in which one is made on first use."""

    folder: Path
    file: Path | None = None
    passphrase: bytes | None = None
    name: str = "Tonne"

    def load(self, *, at: datetime) -> Signer:
        """Load the key, or make it.

        Raises:
            SignerNotUsable: the file holds no usable key, or the passphrase is wrong.
        """
        if self.file is not None:
            return load_signer(self.file, self.passphrase)
        return create_signer(self.folder, name=self.name, at=at)


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of what proves an order."""

    base_url: str
    codes: ProofCodes

    def certificate(self, order: Order) -> str:
        """The PDF, for the order's own account."""
        return f"{self.base_url}/v1/orders/{order.order_id}/certificate"

    def proof(self, order: Order) -> str:
        """The public page."""
        return f"{self.base_url}/proof/{self.codes.make(order.account_id, order.order_id)}"


@dataclass(slots=True)
class ProofDesk:
    """Hands out certificates, shows public facts and checks files."""

    pool: Pool
    snapshots: SnapshotKeeper
    links: Links
    signing_key: SigningKey
    now: Callable[[], datetime]
    _signer: Signer | None = None
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))

    async def facts(self, account: Account, order: Order) -> Certificate:
        """What is to be proven of a complete order.

        Raises:
            NotFound: it is not complete.
        """
        if order.status is not OrderStatus.COMPLETE:
            raise NotFound(
                f"There is no certificate before an order is complete; this one is {order.status.value}."
            )
        async with self.pool.acquire(timeout=5) as connection:
            return await self._read(connection, account, order)

    async def pdf(self, account: Account, order: Order, *, language: Language) -> bytes:
        """The signed PDF of a complete order: the same bytes each time.

        Raises:
            NotFound: it is not complete.
            ServiceUnavailable: what became of its credits changes all the time.
        """
        async with self.pool.acquire(timeout=5) as connection:
            kept = await find_certificate(connection, account, order.order_id, language=language.value)
        if kept is not None:
            return kept
        signer = await self._load_signer()
        for _ in range(_SETTING_TRIES_MAX):
            certificate = await self.facts(account, order)
            made = await asyncio.get_running_loop().run_in_executor(
                self._threads, _make_pdf, certificate, language, signer
            )
            async with self.pool.acquire(timeout=5) as connection, connection.transaction():
                await lock_order(connection, account, order.order_id)
                # Credits may have been withdrawn while it was set: what is kept is never older than that.
                if await self._read(connection, account, order) == certificate:
                    return await keep_certificate(
                        connection, account, order.order_id, language=language.value, pdf=made, at=self.now()
                    )
        raise ServiceUnavailable

    async def find(self, code: str) -> tuple[Account, Order]:
        """The complete order that a public page is about.

        Raises:
            NotFound: there is no such page.
        """
        named = self.links.codes.read(code)
        account = None if named is None else self.snapshots.current.directory.accounts.get(named[0])
        if named is None or account is None:
            raise NotFound
        async with self.pool.acquire(timeout=5) as connection:
            order = await find_order(connection, account, named[1])
        if order is None or order.status is not OrderStatus.COMPLETE:
            raise NotFound
        return account, order

    async def check(self, pdf: bytes) -> Verdict:
        """Say whether a file is a certificate that was handed out here, to the last byte."""
        organisations = {
            account.organisation_id for account in self.snapshots.current.directory.accounts.values()
        }
        async with self.pool.acquire(timeout=5) as connection:
            trusted = await trusted_certificates(connection)
        # What is not signed by us needs no look at the database: signature first, hash second.
        verdict = await self._checked(pdf, trusted, lambda _: True)
        if not verdict.valid:
            return verdict
        async with self.pool.acquire(timeout=5) as connection:
            known, is_old = await find_issue(connection, list(organisations), bytes.fromhex(verdict.sha256))
        if not known:
            return await self._checked(pdf, trusted, lambda _: False)
        return superseded(verdict) if is_old else verdict

    async def _read(self, connection: Connection, account: Account, order: Order) -> Certificate:
        parts = await find_order_parts(connection, account, order.order_id)
        logo = await _load_logo(connection, account)
        retirement_ids = [part.retirement.retirement_id for part in parts]
        aftermath = await load_aftermath(connection, account.organisation_id, retirement_ids)
        certificate = _certificate(account, order, parts, self.links)
        retirements = tuple(
            replace(each, aftermath=aftermath.get(each.retirement_id)) for each in certificate.retirements
        )
        return replace(certificate, logo=logo, retirements=retirements)

    async def _checked(self, pdf: bytes, trusted: list[bytes], known: Callable[[bytes], bool]) -> Verdict:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: check_certificate_file(pdf, trusted=trusted, known=known)
        )

    async def _load_signer(self) -> Signer:
        async with self._loading:
            if self._signer is None:
                at = self.now()
                signer = await asyncio.get_running_loop().run_in_executor(
                    self._threads, lambda: self.signing_key.load(at=at)
                )
                async with self.pool.acquire(timeout=5) as connection:
                    await trust_certificate(connection, signer.certificate, at=at)
                self._signer = signer
            return self._signer


async def _load_logo(connection: Connection, account: Account) -> Logo | None:
    digest = image_digest(account.logo)
    found = None if digest is None else await find_image(connection, digest)
    return None if found is None else Logo(*found)


def _make_pdf(certificate: Certificate, language: Language, signer: Signer) -> bytes:
    pdf = render_certificate(certificate, language=language)
    at = max(certificate.as_of, signer.valid_from)
    return sign_certificate(pdf, signer, at=at, is_test=certificate.mode is Mode.TEST)


def _certificate(account: Account, order: Order, parts: list[OrderPart], links: Links) -> Certificate:
    completed_at = dict(order.history)[OrderStatus.COMPLETE]
    assert sum(part.quantity_grams for part in parts) == order.quantity_grams, "every gram is retired"
    return Certificate(
        code=links.codes.make(order.account_id, order.order_id),
        proof_url=links.proof(order),
        order_id=order.order_id,
        mode=order.mode,
        organisation_name=account.organisation.name,
        beneficiary=parts[0].retirement.beneficiary,
        quantity_grams=order.quantity_grams,
        ordered_at=order.created_at,
        completed_at=completed_at,
        retirements=tuple(_certified(part) for part in parts),
    )


def _certified(part: OrderPart) -> CertifiedRetirement:
    retirement = part.retirement
    assert retirement.retired_on is not None
    assert retirement.registry_reference is not None
    return CertifiedRetirement(
        retirement_id=retirement.retirement_id,
        project_name=retirement.project_name,
        project_type=retirement.project_type,
        country_name=retirement.country_name,
        country_code=retirement.country_code,
        registry_name=retirement.registry_name,
        registry_project_id=retirement.registry_project_id,
        registry_link=retirement.registry_link,
        methodology=retirement.methodology,
        vintage_year=retirement.vintage_year,
        serial_first=retirement.serial_first,
        serial_last=retirement.serial_last,
        tonnes=retirement.tonnes,
        quantity_grams=part.quantity_grams,
        retired_on=retirement.retired_on,
        registry_reference=retirement.registry_reference,
    )
