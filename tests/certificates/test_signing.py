"""A signature is standard, certifies the whole file, allows no change, and is the same every time."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pikepdf
import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from tests.certificates.facts import AT, pages

from tonne.certificates.signing import Signer, SignerNotUsable, create_signer, load_signer, sign_certificate

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def validated(pdf: bytes, signer: Signer) -> PdfSignatureStatus:
    """What an independent validator says, of a reader who trusts the signer."""
    root = asn1_x509.Certificate.load(signer.certificate)
    context = ValidationContext(trust_roots=[root], allow_fetching=False, moment=AT)
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return validate_pdf_signature(signature, context)


# --- The signature ---


def test_an_independent_validator_accepts_it(signed: bytes, signer: Signer) -> None:
    status = validated(signed, signer)
    assert status.bottom_line
    assert status.intact
    assert status.valid
    assert status.trusted
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert status.docmdp_ok
    assert status.signer_reported_dt == AT


def test_it_certifies_the_file_and_allows_no_change(signed: bytes) -> None:
    with pikepdf.open(io.BytesIO(signed)) as document:
        signature = document.Root.Perms.DocMDP
        assert signature.SubFilter == "/ETSI.CAdES.detached"
        assert signature.Reference[0].TransformMethod == "/DocMDP"
        assert int(signature.Reference[0].TransformParams.P) == MDPPerm.NO_CHANGES.value
        assert str(signature.Name) == "Tonne Test Signer"


def test_the_same_file_signer_and_time_give_the_same_bytes(
    unsigned: bytes, signed: bytes, signer: Signer
) -> None:
    same_time = AT.astimezone(timezone(timedelta(hours=5))) + timedelta(microseconds=5)
    assert sign_certificate(unsigned, signer, at=same_time) == signed
    assert sign_certificate(unsigned, signer, at=AT + timedelta(seconds=1)) != signed


def test_signing_appends_and_leaves_the_archive_format_alone(unsigned: bytes, signed: bytes) -> None:
    assert signed.startswith(unsigned)
    assert pages(signed) == pages(unsigned)
    with pikepdf.open(io.BytesIO(signed)) as after, pikepdf.open(io.BytesIO(unsigned)) as before:
        assert after.Root.Metadata.read_bytes() == before.Root.Metadata.read_bytes()
        assert after.open_metadata().pdfa_status == "3A"
        assert {str(key): str(value) for key, value in after.docinfo.items()} == {
            str(key): str(value) for key, value in before.docinfo.items()
        }
        (field,) = after.Root.AcroForm.Fields
        # Printable and not hidden, as PDF/A asks; outside the page, so that PDF/UA asks for no place in the order.
        assert int(field.F) & 0b100110111 == 0b100
        assert all(int(corner) < 0 for corner in field.Rect)
        assert after.check_pdf_syntax() == []


def test_signing_works_inside_an_event_loop(unsigned: bytes, signed: bytes, signer: Signer) -> None:
    async def sign() -> bytes:
        return sign_certificate(unsigned, signer, at=AT)

    assert asyncio.run(sign()) == signed


# --- A signer of one's own ---


def test_a_signer_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "signer"
    made = create_signer(directory, name="Fabrikate GmbH", at=JANUARY)
    again = create_signer(directory, name="Somebody Else", at=JANUARY + timedelta(days=1))
    assert again.certificate == made.certificate
    assert again.name == "Fabrikate GmbH"
    (file,) = directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_made_signer_is_strong_and_valid_for_thirty_years(signer: Signer) -> None:
    found = x509.load_der_x509_certificate(signer.certificate)
    assert signer.key.key_size == 3072
    assert found.not_valid_before_utc == JANUARY
    assert found.not_valid_after_utc >= JANUARY.replace(year=2056)
    assert found.subject == found.issuer
    found.verify_directly_issued_by(found)


def _make(directory: str, results: multiprocessing.Queue[bytes]) -> None:
    results.put(create_signer(Path(directory), name="Racer", at=JANUARY).certificate)


def test_processes_that_make_one_at_the_same_time_all_get_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[bytes] = context.Queue()
    racers = [context.Process(target=_make, args=(str(tmp_path), results)) for _ in range(3)]
    for racer in racers:
        racer.start()
    found = {results.get(timeout=60) for _ in racers}
    for racer in racers:
        racer.join(timeout=60)
    assert found == {create_signer(tmp_path, name="Late", at=JANUARY).certificate}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_loser_of_a_race_reads_the_winners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tonne.certificates import signing

    make = signing._new_signer_file
    winner = create_signer(tmp_path / "winner", name="Winner", at=JANUARY)

    def slowly(name: str, at: datetime) -> bytes:
        (tmp_path / signing._SIGNER_FILE).write_bytes(
            (tmp_path / "winner" / signing._SIGNER_FILE).read_bytes()
        )
        return make(name, at)

    monkeypatch.setattr(signing, "_new_signer_file", slowly)
    assert create_signer(tmp_path, name="Loser", at=JANUARY).certificate == winner.certificate


@pytest.mark.parametrize(("name", "is_fine"), [("", False), ("x", True), ("x" * 64, True), ("x" * 65, False)])
def test_a_signers_name_has_one_to_64_characters(name: str, is_fine: bool, tmp_path: Path) -> None:  # noqa: FBT001
    if is_fine:
        assert create_signer(tmp_path, name=name, at=JANUARY).name == name
    else:
        with pytest.raises(ValueError, match="1 to 64 characters"):
            create_signer(tmp_path, name=name, at=JANUARY)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_file_is_never_replaced(content: bytes, tmp_path: Path) -> None:
    create_signer(tmp_path, name="Fabrikate GmbH", at=JANUARY)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    with pytest.raises(SignerNotUsable, match="damaged"):
        create_signer(tmp_path, name="Fabrikate GmbH", at=JANUARY)
    assert file.read_bytes() == content


# --- A signer from a file ---


def _pkcs12(
    path: Path, key: pkcs12.PKCS12PrivateKeyTypes, certificate: bytes | None, passphrase: bytes | None
) -> Path:
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    loaded = x509.load_der_x509_certificate(certificate) if certificate else None
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"signer", key, loaded, None, encryption))
    return path


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_a_signer_is_read_from_pkcs12(
    passphrase: bytes | None, tmp_path: Path, unsigned: bytes, signer: Signer
) -> None:
    path = _pkcs12(tmp_path / "signer.p12", signer.key, signer.certificate, passphrase)
    loaded = load_signer(path, passphrase)
    assert loaded.certificate == signer.certificate
    assert validated(sign_certificate(unsigned, loaded, at=AT), signer).bottom_line


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_a_wrong_passphrase_is_said_so(passphrase: bytes | None, tmp_path: Path, signer: Signer) -> None:
    path = _pkcs12(tmp_path / "signer.p12", signer.key, signer.certificate, b"secret")
    with pytest.raises(SignerNotUsable, match="opens with this passphrase"):
        load_signer(path, passphrase)


def test_what_can_not_sign_is_refused(tmp_path: Path, signer: Signer, other_signer: Signer) -> None:
    path = tmp_path / "signer.p12"
    path.write_bytes(b"garbage")
    with pytest.raises(SignerNotUsable, match="no PKCS#12"):
        load_signer(path, None)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key in (ec.generate_private_key(ec.SECP256R1()), weak):
        with pytest.raises(SignerNotUsable, match="no RSA key of at least 2048 bits"):
            load_signer(_pkcs12(path, key, None, None), None)
    with pytest.raises(SignerNotUsable, match="no certificate for its key"):
        load_signer(_pkcs12(path, signer.key, None, None), None)
    with pytest.raises(FileNotFoundError):
        load_signer(tmp_path / "none.p12", None)
    assert other_signer.certificate != signer.certificate
