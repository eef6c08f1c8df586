"""Which characters can be printed is known beforehand, and agrees with the fonts that come with the package."""

from __future__ import annotations

import time

import pytest
from tests.certificates.coverage import as_ranges, covered

from tonne.certificates.fonts import FONTS_DIRECTORY, printable, unprintable_characters
from tonne.certificates.typesetting import font_families

NAMES = {
    "Latin": "Ærøskøbing Łódź İstanbul Ðông",
    "Greek": "Ελληνική Εταιρεία Ά",
    "Cyrillic": "Приклад Україна Ђ",
    "Armenian": "Հայաստան",
    "Georgian": "საქართველო",
    "Hebrew": "חברת דוגמה",
    "Arabic": "شركة النور",
    "Devanagari": "उदाहरण कंपनी",
    "Bengali": "উদাহরণ",
    "Tamil": "எடுத்துக்காட்டு",
    "Thai": "บริษัท ตัวอย่าง",
    "Khmer": "ឧទាហរណ៍",
    "Ethiopic": "ምሳሌ",
    "Chinese": "示例公司 範例公司",
    "Japanese": "カタカナひらがな𠮷野家",
    "Korean": "예시 주식회사",
    "Symbols": "€ ™ © ★ → 🌱",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_script_in_use_can_be_printed(name: str) -> None:
    assert unprintable_characters(name) == []
    assert printable(name) == name


def test_the_list_of_characters_is_that_of_the_fonts() -> None:
    assert (FONTS_DIRECTORY / "coverage.txt").read_text(encoding="ascii") == as_ranges(covered())


def test_characters_no_font_has_are_named_once_in_order_of_appearance() -> None:
    assert unprintable_characters("a\ue000b\U00012000c\ue000") == ["\ue000", "\U00012000"]


@pytest.mark.parametrize(
    "character", ["\n", "\x00", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\ufeff", "\ud800"]
)
def test_control_characters_and_turns_of_direction_can_not_be_printed(character: str) -> None:
    assert unprintable_characters(f"a{character}b") == [character]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("one\ntwo\x00three", "one two three"),
        ("one\u202etwo\u200bthree", "onetwothree"),
        ("one\ue000two\ud800", "one\ufffdtwo\ufffd"),
        ("\u0646\u200c\u0645", "\u0646\u200c\u0645"),
    ],
)
def test_what_can_not_be_printed_is_replaced_where_it_is_too_late_to_refuse(text: str, printed: str) -> None:
    assert printable(text) == printed
    assert unprintable_characters(printed) == []


def test_a_name_is_checked_in_microseconds() -> None:
    unprintable_characters("warm")
    started = time.perf_counter()
    for _ in range(1000):
        unprintable_characters("Müller & Söhne GmbH 株式会社" * 3)
    # A thousandfold of what it takes, for a busy machine.
    assert time.perf_counter() - started < 1


def test_fonts_come_with_their_licence_and_are_not_too_large() -> None:
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS_DIRECTORY / "OFL.txt").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in FONTS_DIRECTORY.iterdir()) < 25 * 10**6


def test_only_fonts_of_the_package_are_used() -> None:
    families = font_families()
    assert {"Noto Sans", "Noto Serif Display", "Noto Sans CJK SC"} <= set(families)
    assert all(family.startswith("Noto ") for family in families)
