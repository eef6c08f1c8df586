"""The key that signs certificates: one of the operator's own from a PKCS#12 file, else one made on first use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from tonne.application.proofs import SigningKey
from tonne.cli.main import main

AT = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def own_key(tmp_path_factory):
    """A PKCS#12 file with the passphrase "secret"."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nordlicht Klima AG")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(AT)
        .not_valid_after(AT + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("key") / "own.p12"
    lock = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"own", key, certificate, None, lock))
    return path


def test_a_key_of_one_s_own_signs(own_key, tmp_path):
    assert SigningKey(tmp_path, own_key, b"secret").load(at=AT).name == "Nordlicht Klima AG"


def test_without_one_a_key_is_made_once(tmp_path):
    first, second = (SigningKey(tmp_path / "signing", name="Tonne").load(at=AT) for _ in range(2))
    assert first.certificate == second.certificate
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "signing").iterdir()] == [0o600]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TONNE_SIGNING_KEY_PASSPHRASE": "wrong"}, "opens with this passphrase"),
        ({"TONNE_SIGNING_KEY_FILE": "/nowhere/own.p12"}, "TONNE_SIGNING_KEY_FILE can't be used"),
        ({"TONNE_OPERATOR_NAME": "N" * 65}, "TONNE_OPERATOR_NAME must have 1 to 64"),
    ],
)
def test_a_key_that_can_not_sign_is_said_before_anything_is_served(own_key, tmp_path, environment, said):
    environment = {"TONNE_SIGNING_KEY_FILE": str(own_key)} | environment
    refused = CliRunner().invoke(main, ["serve", "--data-dir", str(tmp_path / "data")], env=environment)
    assert refused.exit_code == 1
    assert said in refused.output
    assert not (tmp_path / "data").exists()
