"""Signing: a PAdES B-B signature over the whole file that certifies it and allows no change.

Source: ETSI EN 319 142-1 (PAdES baseline signatures); ISO 32000-1, section 12.8.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import BasePdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.pdf_signer import PdfSigningSession

from tonne.certificates.signature_form import cms_signature, signed_attributes

Result = TypeVar("Result")

_KEY_BITS = 3072
_KEY_BITS_MIN = 2048
_VALID_FOR = timedelta(days=30 * 365 + 8)
# X.509 bounds a common name (RFC 5280, appendix A.1, ub-common-name).
_NAME_MAX = 64
_SIGNER_FILE = "certificate-signer.pem"
_FIELD_NAME = "Certificate"
# Letters only: they stand in the file as they are.
TEST_REASON = "TEST"


class SignerNotUsable(ValueError):
    """The file holds no RSA key with its certificate, or the passphrase is not its own."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the certificate (DER) that readers know it by."""

    key: rsa.RSAPrivateKey
    certificate: bytes

    @property
    def name(self) -> str:
        """The subject's common name."""
        return common_name(self.certificate)

    @property
    def valid_from(self) -> datetime:
        """When its certificate begins to be valid: nothing is signed before."""
        return x509.load_der_x509_certificate(self.certificate).not_valid_before_utc


def common_name(certificate: bytes) -> str:
    """The subject's common name in a certificate (DER), or the whole subject where it has none."""
    subject = x509.load_der_x509_certificate(certificate).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else subject.rfc4514_string()


def load_signer(path: Path, passphrase: bytes | None) -> Signer:
    """Read a signer from a PKCS#12 file.

    Raises:
        SignerNotUsable: it isn't PKCS#12, the passphrase is wrong, or it has no RSA key of 2,048 bits or more with its
            certificate.
        OSError: the file can't be read.
    """
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(path.read_bytes(), passphrase)
    except ValueError as error:
        raise SignerNotUsable(f"{path} is no PKCS#12 file that opens with this passphrase") from error
    return _signer(key, certificate, path)


def _signer(key: object, certificate: x509.Certificate | None, path: Path) -> Signer:
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _KEY_BITS_MIN:
        raise SignerNotUsable(f"{path} has no RSA key of at least {_KEY_BITS_MIN} bits")
    if certificate is None or certificate.public_key() != key.public_key():
        raise SignerNotUsable(f"{path} has no certificate for its key")
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


def create_signer(directory: Path, *, name: str, at: datetime) -> Signer:
    """Return the signer kept in `directory`; make it, valid for 30 years from `at`, where there is none yet.

    It is one file that only its owner can read. Where several processes make one at the same time, the first wins and
    all return that.

    Raises:
        SignerNotUsable: the file that is there is damaged.
        ValueError: `name` is empty or longer than 64 characters.
        OSError: the directory can't be written to.
    """
    path = directory / _SIGNER_FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _keep_first(path, _new_signer_file(name, at))
    content = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError) as error:
        raise SignerNotUsable(f"{path} is damaged") from error
    return _signer(key, certificate, path)


def _keep_first(path: Path, content: bytes) -> None:
    """Store `content` at `path` whole or not at all, and only where nothing is yet."""
    # Made with mode 0600 by mkstemp.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what another process put there meanwhile.
        Path(path).hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def _new_signer_file(name: str, at: datetime) -> bytes:
    if not 0 < len(name) <= _NAME_MAX:
        raise ValueError(f"A signer's name has 1 to {_NAME_MAX} characters, not {len(name)}.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


# --- Signing a file ---


def sign_certificate(pdf: bytes, signer: Signer, *, at: datetime, is_test: bool = False) -> bytes:
    """Append a certification signature dated `at` (to the second) to a PDF that has none.

    That of a test says so (`TEST_REASON`), so that nobody takes a valid one for proof. The same file, signer and time give the same bytes. It changes nothing that PDF/A-3 or PDF/UA-1 ask for.
    """
    at = at.astimezone(UTC).replace(microsecond=0)
    writer = _Writer(io.BytesIO(pdf), at)
    metadata = signers.PdfSignatureMetadata(
        field_name=_FIELD_NAME,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        name=signer.name,
        reason=TEST_REASON if is_test else None,
    )
    # Outside the page, so that it needs no picture and no place in the reading order.
    place = SigFieldSpec(_FIELD_NAME, invis_sig_settings=InvisSigSettings(box_out_of_bounds=True))
    pdf_signer = _DatedSigner(metadata, _KeySigner(signer), new_field_spec=place)
    pdf_signer.at = at
    # Its size in hexadecimal digits is known, so that there is no padding.
    size = len(cms_signature(bytes(32), signer.certificate, bytes(signer.key.key_size // 8)).dump())
    signed = _completed(pdf_signer.async_sign_pdf(writer, bytes_reserved=2 * size))
    return bytes(signed.getvalue())


class _Writer(IncrementalPdfFileWriter):
    """Appends to a file without random numbers, without the clock, and without touching the metadata."""

    def __init__(self, file: io.BytesIO, at: datetime) -> None:
        self.at = at
        super().__init__(file)
        first, _ = self._document_id
        second = hashlib.sha256(file.getvalue() + at.isoformat().encode()).digest()[:16]
        self._document_id = generic.ArrayObject([first, generic.ByteStringObject(second)])

    def _update_meta(self) -> None:
        """The archived metadata stays as it is: PDF/A wants both of its copies to agree."""


class _DatedSigner(signers.PdfSigner):
    """Signs as of a time it is told."""

    at: datetime

    def init_signing_session(
        self,
        pdf_out: BasePdfFileWriter,
        existing_fields_only: bool = False,  # noqa: FBT001, FBT002 - the parent's signature
    ) -> PdfSigningSession:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.at
        return session


class _KeySigner(signers.Signer):
    """Signs with a key that is loaded once, RSA PKCS#1 v1.5 and SHA-256: one signature for one document."""

    def __init__(self, signer: Signer) -> None:
        self.key = signer.key
        self.certificate = signer.certificate
        super().__init__(signing_cert=asn1_x509.Certificate.load(signer.certificate))

    # The parent has more settings; a signature has one form whatever they say.
    async def async_sign(  # type: ignore[override]
        self, data_digest: bytes, digest_algorithm: str, **_settings: object
    ) -> cms.ContentInfo:
        assert digest_algorithm == "sha256"
        attributes = signed_attributes(data_digest, self.certificate).dump()
        signature = self.key.sign(attributes, padding.PKCS1v15(), hashes.SHA256())
        return cms_signature(data_digest, self.certificate, signature)


def _completed(steps: Coroutine[Any, Any, Result]) -> Result:
    """Run what waits for nothing to its end; unlike an event loop, this may be done inside of one."""
    try:
        steps.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("Signing with a key at hand waits for nothing.")
