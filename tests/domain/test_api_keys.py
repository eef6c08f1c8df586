"""How API keys look, and how a mistyped one is told from a right one."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.accounts import Mode
from tonne.domain.api_keys import SECRET_BYTES, format_api_key, hash_api_key, is_well_formed

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_LENGTH = len("tonne_live_")
KEY_LENGTH = PREFIX_LENGTH + 43 + 6
KEY = format_api_key(bytes(range(32)), Mode.TEST)

secrets = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
modes = st.sampled_from(Mode)


def in_base_62(number: int, length: int) -> str:
    return "".join(DIGITS[number // 62**position % 62] for position in reversed(range(length)))


def crc_32(data: bytes) -> int:
    """CRC-32 bit by bit, as its definition has it."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xEDB88320 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


@given(secrets, modes)
def test_a_key_is_its_mode_its_secret_and_their_checksum(secret: bytes, mode: Mode) -> None:
    body = f"tonne_{mode.value}_" + in_base_62(int.from_bytes(secret, "big"), 43)
    assert format_api_key(secret, mode) == body + in_base_62(crc_32(body.encode()), 6)


@pytest.mark.parametrize("secret", [b"\x00" * 32, b"\xff" * 32, b"\x00" * 31 + b"\x01", bytes(range(32))])
@pytest.mark.parametrize("mode", Mode)
def test_every_key_has_the_same_length_and_is_well_formed(secret: bytes, mode: Mode) -> None:
    key = format_api_key(secret, mode)
    assert len(key) == KEY_LENGTH
    assert is_well_formed(key)


@given(secrets, secrets)
def test_different_secrets_make_different_keys(one: bytes, other: bytes) -> None:
    assert (format_api_key(one, Mode.LIVE) == format_api_key(other, Mode.LIVE)) == (one == other)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_of_another_length_is_a_bug(length: int) -> None:
    with pytest.raises(AssertionError):
        format_api_key(b"\x01" * length, Mode.TEST)


@pytest.mark.parametrize("position", range(KEY_LENGTH))
def test_any_changed_character_is_noticed(position: int) -> None:
    for character in DIGITS + "_- .\n\x00é\N{ARABIC-INDIC DIGIT THREE}\N{FULLWIDTH LATIN SMALL LETTER A}":
        changed = KEY[:position] + character + KEY[position + 1 :]
        assert is_well_formed(changed) == (changed == KEY)


@given(secrets, modes, st.integers(0, KEY_LENGTH - 1), st.sampled_from(DIGITS))
def test_any_changed_character_of_any_key_is_noticed(
    secret: bytes, mode: Mode, position: int, character: str
) -> None:
    key = format_api_key(secret, mode)
    changed = key[:position] + character + key[position + 1 :]
    assert is_well_formed(changed) == (changed == key)


@given(secrets, modes, st.integers(0, KEY_LENGTH - 2))
def test_two_neighbours_swapped_are_noticed(secret: bytes, mode: Mode, position: int) -> None:
    key = format_api_key(secret, mode)
    swapped = key[:position] + key[position + 1] + key[position] + key[position + 2 :]
    assert is_well_formed(swapped) == (swapped == key)


@given(secrets)
def test_a_key_can_not_be_turned_from_test_to_live(secret: bytes) -> None:
    test, live = format_api_key(secret, Mode.TEST), format_api_key(secret, Mode.LIVE)
    assert not is_well_formed(test.replace("_test_", "_live_"))
    assert not is_well_formed(live.replace("_live_", "_test_"))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "tonne_test_",
        KEY[:-1],
        KEY[1:],
        KEY + "0",
        KEY + "\n",
        KEY + " ",
        " " + KEY,
        "\n" + KEY,
        KEY.upper(),
        KEY.swapcase(),
        KEY.replace("tonne", "Tonne"),
        KEY.replace("_", "-"),
        KEY.replace("_test_", "_prod_"),
        "Bearer " + KEY,
        KEY + KEY,
        "0" * KEY_LENGTH,
        "x" * 100_000,
    ],
)
def test_what_is_not_exactly_a_key_is_not_well_formed(key: str) -> None:
    assert is_well_formed(KEY)
    assert not is_well_formed(key)


@pytest.mark.parametrize(
    ("body", "is_key"),
    [
        ("tonne_test_" + "0" * 43, True),
        ("tonne_live_" + "z" * 43, True),
        ("tonne_test_" + "0" * 42, False),
        ("tonne_test_" + "0" * 44, False),
        ("tonne_prod_" + "0" * 43, False),
        ("tonne_TEST_" + "0" * 43, False),
        ("other_test_" + "0" * 43, False),
        (" tonne_test_" + "0" * 43, False),
        ("tonne_test_" + "-" * 43, False),
        ("tonne_test_" + "\N{ARABIC-INDIC DIGIT THREE}" * 43, False),
        ("", False),
    ],
)
def test_a_right_checksum_alone_makes_no_key(body: str, is_key: bool) -> None:  # noqa: FBT001
    assert is_well_formed(body + in_base_62(crc_32(body.encode()), 6)) == is_key


@given(st.text(max_size=80))
def test_any_text_can_be_asked_about(text: str) -> None:
    assert not is_well_formed(text)


def test_a_key_is_kept_as_its_sha_256_only() -> None:
    assert hash_api_key(KEY) == hashlib.sha256(KEY.encode("ascii")).digest()
    assert hash_api_key("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
