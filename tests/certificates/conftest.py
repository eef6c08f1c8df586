"""One signer and one signed certificate for the whole run: making a key takes its time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.certificates.facts import AT, certificate

from tonne.certificates.languages import Language
from tonne.certificates.rendering import render_certificate
from tonne.certificates.signing import Signer, create_signer, sign_certificate


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return create_signer(
        tmp_path_factory.mktemp("signer"), name="Tonne Test Signer", at=datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.fixture(scope="session")
def other_signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Somebody else under the same name."""
    return create_signer(
        tmp_path_factory.mktemp("other"), name="Tonne Test Signer", at=datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.fixture(scope="session")
def unsigned() -> bytes:
    return render_certificate(certificate(2), language=Language.ENGLISH)


@pytest.fixture(scope="session")
def signed(unsigned: bytes, signer: Signer) -> bytes:
    return sign_certificate(unsigned, signer, at=AT)
