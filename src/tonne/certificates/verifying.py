"""Verifying: whether a file is, byte for byte, a certificate that one of our keys has signed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tonne.certificates.signature_form import cms_signature, signed_attributes
from tonne.certificates.signing import TEST_REASON, common_name

# A certificate of a thousand retirements with a large logo has some 5 MB.
FILE_BYTES_MAX = 20 * 10**6
# A file may name some addresses that look like signatures; a real one has one signature.
_CANDIDATES_MAX = 100
# Signatures with a chain of certificates and a timestamp have some 30,000 digits.
_EXPLAINED_DIGITS_MAX = 200_000

_BYTE_RANGE = re.compile(rb"/ByteRange ?\[ ?(\d{1,10}) (\d{1,10}) (\d{1,10}) (\d{1,10}) ?\]")
# The writer escapes the colon.
_SIGNED_ON = re.compile(rb"/M \(D(?::|\\072)(\d{14})Z\)")
_TEST_REASON = re.compile(rb"/Reason \(" + TEST_REASON.encode("ascii") + rb"\)")
_HEX = re.compile(rb"[0-9A-F]*")


class FindingCode(StrEnum):
    """What can be found; all but `VALID`, `TEST` and `SUPERSEDED` make a file invalid."""

    VALID = "valid"
    TEST = "test"
    SUPERSEDED = "superseded"
    TOO_LARGE = "too_large"
    NOT_A_PDF = "not_a_pdf"
    NOT_SIGNED = "not_signed"
    SEVERAL_SIGNATURES = "several_signatures"
    NOT_WHOLE = "not_whole"
    SIGNATURE_DAMAGED = "signature_damaged"
    UNKNOWN_SIGNER = "unknown_signer"
    CONTENT_CHANGED = "content_changed"
    UNKNOWN_FILE = "unknown_file"


_MESSAGES = {
    FindingCode.VALID: "The file is exactly as it was signed.",
    FindingCode.TEST: "TEST: nothing was retired. The certificate is one of the sandbox, and proves nothing.",
    FindingCode.SUPERSEDED: "Since it was handed out, credits that it names were withdrawn or replaced: the order's public "
    "page and its newest certificate say what became of them.",
    FindingCode.TOO_LARGE: f"The file is larger than {FILE_BYTES_MAX // 10**6} MB. Our certificates are not.",
    FindingCode.NOT_A_PDF: "The file is not a PDF.",
    FindingCode.NOT_SIGNED: "The file has no signature.",
    FindingCode.SEVERAL_SIGNATURES: "The file has more than one signature. Our certificates have one.",
    FindingCode.NOT_WHOLE: "Something was added to the file or cut off after it was signed.",
    FindingCode.SIGNATURE_DAMAGED: "The signature is damaged or was changed.",
    FindingCode.UNKNOWN_SIGNER: "The file was signed by somebody else.",
    FindingCode.CONTENT_CHANGED: "The file was changed after it was signed.",
    FindingCode.UNKNOWN_FILE: "The file is signed, but is not a certificate that was issued.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, as a code and in plain English."""

    code: FindingCode
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome. `signed_at` (UTC), `signer_name` and `is_test` are known for a valid signature only.

    `is_test`: nothing was retired, the certificate is one of the sandbox. `sha256` is the hash of the whole file, in lower-case hexadecimal digits.
    """

    valid: bool
    findings: tuple[Finding, ...]
    signed_at: datetime | None
    signer_name: str | None
    sha256: str
    is_test: bool = False


class _Wrong(Exception):
    """The file isn't valid, for this reason."""

    def __init__(self, code: FindingCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Hole:
    """Where the signature stands: from its "<" at `start` to just after its ">" at `end`."""

    start: int
    end: int


def check_certificate_file(
    pdf: bytes, *, trusted: Sequence[bytes], known: Callable[[bytes], bool] | None = None
) -> Verdict:
    """Tell whether `pdf` is, byte for byte, what the owner of one of the `trusted` certificates (DER) has signed.

    Whatever the signature doesn't cover is compared with the only form it may have, so no byte can be changed, added
    or taken away unnoticed. `known` is asked, for a file that is signed well, whether the SHA-256 of the whole file
    (32 bytes) is that of a certificate that was issued. The certificates' own dates are not looked at: who trusts one
    hands it over. Never raises for what is in the file.
    """
    digest = hashlib.sha256(pdf)
    try:
        signer, signed_at, is_test = _signer_of(pdf, trusted)
    except _Wrong as wrong:
        return Verdict(False, (_finding(wrong.code),), None, None, digest.hexdigest())
    is_known = known is None or known(digest.digest())
    findings = [_finding(FindingCode.VALID if is_known else FindingCode.UNKNOWN_FILE)]
    if is_known and is_test:
        findings.append(_finding(FindingCode.TEST))
    return Verdict(
        is_known, tuple(findings), signed_at, common_name(signer), digest.hexdigest(), is_test=is_test
    )


def superseded(verdict: Verdict) -> Verdict:
    """The verdict on a valid file of which there is a newer one."""
    return replace(verdict, findings=(*verdict.findings, _finding(FindingCode.SUPERSEDED)))


def mode_of(verdict: Verdict) -> str | None:
    """`live` or `test`, for programs; None where the file is not valid."""
    if not verdict.valid:
        return None
    return "test" if verdict.is_test else "live"


def _finding(code: FindingCode) -> Finding:
    return Finding(code, _MESSAGES[code])


def _signer_of(pdf: bytes, trusted: Sequence[bytes]) -> tuple[bytes, datetime | None, bool]:
    """The certificate whose owner signed exactly this file, when by the owner's clock, and whether as a test."""
    if len(pdf) > FILE_BYTES_MAX:
        raise _Wrong(FindingCode.TOO_LARGE)
    if not pdf.startswith(b"%PDF-"):
        raise _Wrong(FindingCode.NOT_A_PDF)
    hole = _find_hole(pdf)
    digest = _digest_around(pdf, hole)
    contents = pdf[hole.start + 1 : hole.end - 1]
    for certificate in trusted:
        if _is_signed_by(certificate, digest, contents):
            # What follows the hole is the signature's own; whatever a name or a picture says stands before it.
            rest = pdf[hole.end :]
            return certificate, _signing_time(rest), _TEST_REASON.search(rest) is not None
    raise _Wrong(_why_not_signed(contents, digest, trusted))


def _find_hole(pdf: bytes) -> _Hole:
    """Find the signature of which everything else in the file is covered.

    Text in the file may look like a signature's range; only one that fits around a hole and to the end is one.
    """
    ranges = list(_byte_ranges(pdf))
    if not ranges:
        raise _Wrong(FindingCode.NOT_SIGNED)
    holes = {
        _Hole(before, after)
        for first, before, after, rest in ranges
        if first == 0 and before < after and after + rest == len(pdf) and _is_hole(pdf, before, after)
    }
    if len(holes) == 1 and not _others(pdf, ranges, next(iter(holes))):
        return holes.pop()
    is_several = sum(_is_hole(pdf, before, after) for _, before, after, _ in ranges) > 1
    raise _Wrong(FindingCode.SEVERAL_SIGNATURES if is_several else FindingCode.NOT_WHOLE)


def _byte_ranges(pdf: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each range as its first offset, where the hole starts, where it ends, and how much follows it."""
    for index, found in enumerate(_BYTE_RANGE.finditer(pdf)):
        if index == _CANDIDATES_MAX:
            raise _Wrong(FindingCode.SEVERAL_SIGNATURES)
        first, length, second, rest = (int(number) for number in found.groups())
        yield first, first + length, second, rest


def _is_hole(pdf: bytes, start: int, end: int) -> bool:
    return start < end <= len(pdf) and pdf[start : start + 1] == b"<" and pdf[end - 1 : end] == b">"


def _others(pdf: bytes, ranges: Sequence[tuple[int, int, int, int]], hole: _Hole) -> bool:
    return any(
        _is_hole(pdf, before, after) and _Hole(before, after) != hole for _, before, after, _ in ranges
    )


def _digest_around(pdf: bytes, hole: _Hole) -> bytes:
    view = memoryview(pdf)
    digest = hashlib.sha256(view[: hole.start])
    digest.update(view[hole.end :])
    return digest.digest()


def _is_signed_by(certificate: bytes, digest: bytes, contents: bytes) -> bool:
    """Whether the hole has, digit for digit, the signature of this document by the owner of `certificate`."""
    # Cheap, and true of nearly every file that was changed: the signature names another document's hash.
    if _digits(digest) not in contents or not _HEX.fullmatch(contents):
        return False
    key = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    signature_digits = 2 * (key.key_size // 8)
    expected = _digits(cms_signature(digest, certificate, bytes(key.key_size // 8)).dump())
    # Only the signature's value, at the very end, is not known beforehand.
    if len(contents) != len(expected) or contents[:-signature_digits] != expected[:-signature_digits]:
        return False
    signature = bytes.fromhex(contents[-signature_digits:].decode("ascii"))
    try:
        key.verify(
            signature, signed_attributes(digest, certificate).dump(), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return True


def _digits(data: bytes) -> bytes:
    return data.hex().upper().encode("ascii")


def _signing_time(after_hole: bytes) -> datetime | None:
    found = _SIGNED_ON.search(after_hole)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1].decode("ascii"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _why_not_signed(contents: bytes, digest: bytes, trusted: Sequence[bytes]) -> FindingCode:
    """Read what the signature says of itself. It decides nothing but the explanation."""
    if len(contents) > _EXPLAINED_DIGITS_MAX:
        return FindingCode.SIGNATURE_DAMAGED
    try:
        der = bytes.fromhex(contents.decode("ascii"))
        signed = cms.ContentInfo.load(der)["content"]
        certificates = [each.chosen.dump() for each in signed["certificates"]]
        attributes = {
            each["type"].native: each["values"] for each in signed["signer_infos"][0]["signed_attrs"]
        }
        signed_digest = attributes["message_digest"][0].native
    # A damaged signature may break the parser anywhere, and in any way.
    except Exception:  # noqa: BLE001
        return FindingCode.SIGNATURE_DAMAGED
    if not any(certificate in trusted for certificate in certificates):
        return FindingCode.UNKNOWN_SIGNER
    return FindingCode.SIGNATURE_DAMAGED if signed_digest == digest else FindingCode.CONTENT_CHANGED
