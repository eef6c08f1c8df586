"""A file is valid exactly when it is, byte for byte, what one of the trusted keys has signed."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from tests.certificates.facts import AT, certificate, retirement

from tonne.certificates import verifying
from tonne.certificates.languages import Language
from tonne.certificates.rendering import render_certificate
from tonne.certificates.signature_form import cms_signature
from tonne.certificates.signing import Signer, sign_certificate
from tonne.certificates.verifying import FILE_BYTES_MAX, FindingCode, Verdict, check_certificate_file

SAMPLES = Path(__file__).parent / "samples"


def check(pdf: bytes, *signers: Signer, known: Callable[[bytes], bool] | None = None) -> Verdict:
    return check_certificate_file(pdf, trusted=[each.certificate for each in signers], known=known)


def code_of(verdict: Verdict) -> FindingCode:
    (finding,) = verdict.findings
    assert finding.message.endswith(".")
    assert verdict.valid == (finding.code is FindingCode.VALID)
    return finding.code


def hole_of(pdf: bytes) -> range:
    """The offsets of the signature's digits."""
    hole = verifying._find_hole(pdf)
    return range(hole.start + 1, hole.end - 1)


# --- What is valid ---


def test_a_signed_certificate_is_valid(signed: bytes, signer: Signer, other_signer: Signer) -> None:
    verdict = check(signed, other_signer, signer)
    assert code_of(verdict) is FindingCode.VALID
    assert verdict.signed_at == AT
    assert verdict.signer_name == "Tonne Test Signer"
    assert verdict.sha256 == hashlib.sha256(signed).hexdigest()


def test_a_certificate_signed_by_an_earlier_version_stays_valid() -> None:
    """The sample was signed by the first version; its key is gone. Make no new one: those out there stay as they are."""
    trusted = [(SAMPLES / "signer.der").read_bytes()]
    assert check_certificate_file((SAMPLES / "signed.pdf").read_bytes(), trusted=trusted).valid


def test_a_signed_file_must_also_be_known_where_somebody_knows(signed: bytes, signer: Signer) -> None:
    digest = hashlib.sha256(signed).digest()
    assert code_of(check(signed, signer, known=lambda each: each == digest)) is FindingCode.VALID
    verdict = check(signed, signer, known=lambda each: each != digest)
    assert code_of(verdict) is FindingCode.UNKNOWN_FILE
    assert verdict.signer_name == "Tonne Test Signer"


def test_nobody_is_asked_about_a_file_that_is_not_signed_well(
    signed: bytes, unsigned: bytes, signer: Signer
) -> None:
    def known(_: bytes) -> bool:
        raise AssertionError

    assert not check(unsigned, signer, known=known).valid
    assert not check(signed + b"\n", signer, known=known).valid


def test_names_that_look_like_a_signature_don_t_disturb(signer: Signer) -> None:
    looks = "/ByteRange [0 1 2 3] /ByteRange [0 47719 51241 649] /Contents <00>"
    facts = certificate(
        1,
        organisation_name=looks,
        beneficiary=looks,
        retirements=(retirement(registry_link=f"https://a.test/{looks}"),),
    )
    pdf = sign_certificate(render_certificate(facts, language=Language.ENGLISH), signer, at=AT)
    assert code_of(check(pdf, signer)) is FindingCode.VALID


# --- What is not ---


def test_each_wrong_is_called_by_its_name(
    signed: bytes, unsigned: bytes, signer: Signer, other_signer: Signer
) -> None:
    digits = hole_of(signed)
    changed = signed.replace(b"Tonne Test Signer", b"Tonne Best Signer")
    garbage = signed[: digits.start] + b"0" * len(digits) + signed[digits.stop :]
    expected = {
        b"": FindingCode.NOT_A_PDF,
        b"PK\x03\x04": FindingCode.NOT_A_PDF,
        b"\n" + signed: FindingCode.NOT_A_PDF,
        b"%PDF-1.7": FindingCode.NOT_SIGNED,
        unsigned: FindingCode.NOT_SIGNED,
        signed + b"\n": FindingCode.NOT_WHOLE,
        signed[:-1]: FindingCode.NOT_WHOLE,
        signed + unsigned: FindingCode.NOT_WHOLE,
        unsigned + signed: FindingCode.NOT_WHOLE,
        signed + signed: FindingCode.SEVERAL_SIGNATURES,
        changed: FindingCode.CONTENT_CHANGED,
        garbage: FindingCode.SIGNATURE_DAMAGED,
        sign_certificate(unsigned, other_signer, at=AT): FindingCode.UNKNOWN_SIGNER,
    }
    assert {pdf: code_of(check(pdf, signer)) for pdf in expected} == expected
    assert {code_of(check(pdf)) for pdf in expected} <= set(expected.values())
    assert code_of(check(signed)) is FindingCode.UNKNOWN_SIGNER


@pytest.mark.parametrize(("size", "code"), [(0, FindingCode.NOT_SIGNED), (1, FindingCode.TOO_LARGE)])
def test_files_above_the_limit_are_not_read(size: int, code: FindingCode, signer: Signer) -> None:
    assert code_of(check(b"%PDF-".ljust(FILE_BYTES_MAX + size), signer)) is code


def test_another_keys_signature_in_the_hole_is_noticed(
    signed: bytes, unsigned: bytes, signer: Signer, other_signer: Signer
) -> None:
    other = sign_certificate(unsigned, other_signer, at=AT)
    digits, others = hole_of(signed), hole_of(other)
    transplanted = signed[: digits.start] + other[others.start : others.stop] + signed[digits.stop :]
    # Their certificates' numbers may differ in length.
    expected = FindingCode.UNKNOWN_SIGNER if len(digits) == len(others) else FindingCode.NOT_WHOLE
    assert code_of(check(transplanted, signer)) is expected


def test_a_signature_made_by_another_key_for_the_right_certificate_is_noticed(
    unsigned: bytes, signer: Signer, other_signer: Signer
) -> None:
    forged = sign_certificate(unsigned, Signer(other_signer.key, signer.certificate), at=AT)
    assert code_of(check(forged, signer)) is FindingCode.SIGNATURE_DAMAGED


def test_a_stripped_signature_is_noticed(signed: bytes, signer: Signer) -> None:
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(signed)) as document:
        del document.Root.AcroForm
        del document.Root.Perms
        del document.pages[0].Annots[-1]
        document.save(file)
    assert code_of(check(file.getvalue(), signer)) is FindingCode.NOT_SIGNED


def test_a_later_revision_is_noticed(signed: bytes, signer: Signer) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(signed))
    writer.root["/Lang"] = generic.TextStringObject("xx")
    writer.update_root()
    file = io.BytesIO()
    writer.write(file)
    assert file.getvalue().startswith(signed)
    assert code_of(check(file.getvalue(), signer)) is FindingCode.NOT_WHOLE


def test_a_rewritten_file_is_noticed(signed: bytes, signer: Signer) -> None:
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(signed)) as document:
        document.save(file)
    assert not check(file.getvalue(), signer).valid


def test_other_ways_to_write_the_same_signature_are_noticed(signed: bytes, signer: Signer) -> None:
    digits = hole_of(signed)
    hole = signed[digits.start : digits.stop]
    other_case = hole.lower()
    spaced = hole[:-1] + b" "
    der = bytes.fromhex(hole.decode())
    # The outermost length with the end-of-contents octets of BER instead.
    indefinite = (b"\x30\x80" + der[4:]).hex().upper().encode().ljust(len(hole), b"0")
    for other in (other_case, spaced, indefinite):
        assert not check(signed[: digits.start] + other + signed[digits.stop :], signer).valid


def test_the_hole_has_nothing_but_the_signature(signed: bytes, signer: Signer) -> None:
    digits = hole_of(signed)
    empty = cms_signature(bytes(32), signer.certificate, bytes(384)).dump()
    assert len(digits) == 2 * len(empty)


# --- Every byte counts ---


def flipped(pdf: bytes, offsets: Iterable[int]) -> Iterable[tuple[int, bytes]]:
    """The file with one bit turned, for each offset; which bit depends on the offset."""
    for offset in offsets:
        changed = bytearray(pdf)
        changed[offset] ^= 1 << offset % 8
        yield offset, bytes(changed)


def unnoticed(pdf: bytes, offsets: Iterable[int], signer: Signer) -> list[int]:
    return [offset for offset, changed in flipped(pdf, offsets) if check(changed, signer).valid]


def test_a_changed_bit_is_noticed_at_both_ends_in_the_hole_and_wherever_chance_looks(
    signed: bytes, signer: Signer
) -> None:
    size = len(signed)
    chance = random.Random(20260314).sample(range(size), 300)
    offsets = {*range(1000), *range(size - 2000, size), *hole_of(signed), *chance}
    assert unnoticed(signed, sorted(offsets), signer) == []


@pytest.mark.long
def test_a_changed_bit_is_noticed_anywhere(signed: bytes, signer: Signer) -> None:
    assert unnoticed(signed, range(len(signed)), signer) == []


def test_every_bit_of_the_signature_counts(signed: bytes, signer: Signer) -> None:
    for offset in random.Random(1).sample(hole_of(signed), 100):
        for bit in range(8):
            changed = bytearray(signed)
            changed[offset] ^= 1 << bit
            assert not check(bytes(changed), signer).valid


def test_a_missing_or_an_added_byte_is_noticed(signed: bytes, signer: Signer) -> None:
    for offset in random.Random(2).sample(range(len(signed)), 50):
        assert not check(signed[:offset] + signed[offset + 1 :], signer).valid
        assert not check(signed[:offset] + b" " + signed[offset:], signer).valid
        assert not check(signed[:offset], signer).valid


# --- Hostile files ---

_PIECES = [
    b"/ByteRange [0 9 19 20]",
    b"/ByteRange [0 ",
    b"<",
    b">",
    b"3082",
    b"00",
    b"99999999999",
    b"%%EOF",
    b"]",
    b" ",
]


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(_PIECES)), max_size=40).map(b"".join))
def test_no_garbage_makes_it_fail(garbage: bytes) -> None:
    trusted = [(SAMPLES / "signer.der").read_bytes()]
    assert not check_certificate_file(b"%PDF-1.7\n" + garbage, trusted=trusted).valid


@given(st.binary(max_size=300), st.booleans())
def test_no_garbage_in_the_hole_makes_it_fail(garbage: bytes, is_like_cms: bool) -> None:  # noqa: FBT001
    sample, trusted = (SAMPLES / "signed.pdf").read_bytes(), [(SAMPLES / "signer.der").read_bytes()]
    digits = hole_of(sample)
    start = bytes.fromhex(sample[digits.start : digits.stop].decode())[: 100 if is_like_cms else 0]
    content = (start + garbage).hex().upper().encode().ljust(len(digits), b"0")
    assert not check_certificate_file(
        sample[: digits.start] + content + sample[digits.stop :], trusted=trusted
    ).valid


def test_many_places_that_look_like_signatures_take_no_time(signer: Signer) -> None:
    assert (
        code_of(check(b"%PDF-" + b"/ByteRange [0 1 2 3]" * 500_000, signer)) is FindingCode.SEVERAL_SIGNATURES
    )
