"""A certificate says every fact, in every language and script, as what it is, and the same way every time."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pikepdf
import pytest
import zxingcpp
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal
from PIL import ImageChops
from tests.certificates.facts import (
    SVG_LOGO,
    certificate,
    fonts_of,
    pages,
    picture_logo,
    picture_of,
    retirement,
    squeezed,
    text_of,
)
from tests.certificates.test_fonts import NAMES

from tonne.certificates.languages import Language
from tonne.certificates.phrases import phrase
from tonne.certificates.rendering import LogoNotPrintable, check_logo, render_certificate
from tonne.certificates.texts import TEXTS
from tonne.certificates.typesetting import TypesettingFailed, typeset
from tonne.domain.accounts import Mode
from tonne.domain.certificate import Certificate, Logo
from tonne.domain.mass import QUANTITY_GRAMS_MAX

ENGLISH = Language.ENGLISH


def english(facts: Certificate) -> bytes:
    return render_certificate(facts, language=ENGLISH)


# --- What it says ---


@pytest.mark.parametrize("language", Language)
def test_every_fact_is_in_the_text_in_every_language(language: Language) -> None:
    facts = certificate()
    locale = Locale.parse("en_001" if language is ENGLISH else language.value)
    text = text_of(render_certificate(facts, language=language))
    said = [facts.beneficiary, facts.organisation_name, str(facts.order_id), facts.proof_url]
    said += [format_date(day, "long", locale=locale) for day in (facts.ordered_at, facts.completed_at)]
    said += [f"{format_decimal(Decimal('0.012069'), '0.######', locale=locale)} t CO₂e"]
    said += [f"{format_decimal(Decimal('12.069'), '0.######', locale=locale)} kg CO₂e"]
    for each in facts.retirements:
        said += [each.project_name, each.project_type, each.registry_name, each.registry_project_id]
        said += [str(each.registry_link), str(each.vintage_year), f"{each.serial_first} – {each.serial_last}"]
        said += [each.methodology] if each.methodology else []
        said += [each.registry_reference, format_date(each.retired_on, "long", locale=locale)]
        said += [f"{locale.territories[each.country_code]} ({each.country_code})"]
        said += [f"{format_decimal(1001, locale=locale)} t", f"{format_decimal(4023, locale=locale)} g"]
    assert [fact for fact in said if squeezed(fact) not in text] == []


@pytest.mark.parametrize(
    ("grams", "readable", "exact"),
    [
        (1, "1 g CO₂e", "0.000001 t"),
        (999, "999 g CO₂e", "0.000999 t"),
        (1000, "1 kg CO₂e", "0.001 t"),
        (999_999, "999.999 kg CO₂e", "0.999999 t"),
        (10**6, "1 t CO₂e", "1 t"),
        (10**15, "1,000,000,000 t CO₂e", "1,000,000,000 t"),
        (10**15 - 1, "999,999,999.999999 t CO₂e", "999,999,999.999999 t"),
    ],
)
def test_the_mass_is_exact_and_in_a_unit_that_reads_well(grams: int, readable: str, exact: str) -> None:
    text = text_of(english(certificate(1, quantity_grams=grams)))
    assert squeezed(readable) in text
    assert squeezed(f"exactly {exact} CO₂e") in text


def test_what_is_missing_is_left_out() -> None:
    facts = certificate(1, retirements=(retirement(methodology=None, registry_link=None),))
    text = text_of(english(facts))
    assert "Methodology" not in text
    assert "None" not in text


def test_an_unknown_country_is_called_as_the_facts_call_it() -> None:
    facts = certificate(1, retirements=(retirement(country_name="Atlantis", country_code="XQ"),))
    assert "Atlantis(XQ)" in text_of(english(facts))


def test_pages_are_numbered_out_of_how_many_there_are() -> None:
    found = pages(english(certificate(20)))
    assert len(found) > 2
    for number, text in enumerate(found, start=1):
        assert f"{number} / {len(found)}" in text


def test_the_code_on_the_first_page_leads_to_the_public_page() -> None:
    facts = certificate()
    (code,) = zxingcpp.read_barcodes(picture_of(english(facts)))
    assert code.text == facts.proof_url


def test_addresses_of_the_web_are_links_and_others_are_not() -> None:
    links = ["https://registry.example.test/a b[c]", "javascript:alert(1)", "file:///etc/passwd", "https://["]
    facts = certificate(1, retirements=tuple(retirement(registry_link=link) for link in links))
    with pikepdf.open(io.BytesIO(english(facts))) as document:
        targets = {
            str(each.A.URI) for page in document.pages for each in page.get("/Annots", []) if "/A" in each
        }
    assert targets == {facts.proof_url, "https://registry.example.test/a%20b%5Bc%5D"}


# --- Test mode ---


@pytest.mark.parametrize("language", Language)
def test_every_page_of_a_test_says_that_nothing_was_retired(language: Language) -> None:
    facts = certificate(20, mode=Mode.TEST)
    texts = TEXTS[language]
    found = [squeezed(text) for text in pages(render_certificate(facts, language=language))]
    assert len(found) > 2
    assert all(squeezed(texts.watermark) in text for text in found)
    whole = "".join(found)
    for wording in (texts.live.on_behalf_of, texts.live.completed_on, texts.live.retired_on):
        assert squeezed(wording) not in whole


@pytest.mark.parametrize("language", Language)
def test_no_page_of_a_live_certificate_says_so(language: Language) -> None:
    text = text_of(render_certificate(certificate(), language=language))
    assert squeezed(TEXTS[language].watermark) not in text
    assert squeezed(TEXTS[language].live.on_behalf_of) in text


# --- Text is text ---

MARKUP = [
    '#image("secret.png")',
    '#read("/etc/passwd")',
    '#import "@preview/example:1.0.0"',
    "$x^2$ *bold* _it_ `raw` <label> @ref",
    "= Heading\\ // comment /* more */",
    '"); #panic("x") (',
    '{"a": 1} \\u{41} &amp; %PDF',
    "~ -- --- ... 'quoted'",
]


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_is_printed_as_it_is(markup: str) -> None:
    facts = certificate(
        1,
        beneficiary=markup,
        organisation_name=markup,
        retirements=(retirement(project_name=markup, methodology=markup, serial_first=markup),),
    )
    assert text_of(english(facts)).count(squeezed(markup)) >= 5


def test_control_characters_are_not_printed() -> None:
    text = text_of(english(certificate(1, beneficiary="Fabri\x00kate\u202e\n GmbH\ue000")))
    assert "FabrikateGmbH\ufffd" in text


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_script_is_printed_with_a_font_that_has_it(name: str) -> None:
    facts = certificate(
        1, beneficiary=name, organisation_name=name, retirements=(retirement(project_name=name),)
    )
    text = text_of(english(facts))
    # Right-to-left text is copied in an order of the reader's choice.
    assert set(squeezed(name)) <= set(text)
    assert "\ufffd" not in text


def test_a_character_without_font_is_an_error_in_the_layout() -> None:
    source = '#set document(title: "x")\n#set text(font: "Noto Sans", fallback: false)\n\u6f22'
    with pytest.raises(TypesettingFailed, match="could not be displayed"):
        typeset(source, {}, at=certificate().completed_at)


def test_an_accent_on_a_letter_of_another_script_costs_the_accent_not_the_certificate() -> None:
    assert "FabrikateGmbH" in text_of(english(certificate(1, organisation_name="\u25d8\u1cdc")))


def test_right_to_left_names_and_east_asian_shapes_are_set_as_such() -> None:
    assert phrase("شركة (دبي)", word_max=20)["rtl"]
    assert not phrase("Fabrikate (دبي)", word_max=20)["rtl"]
    assert phrase("12 חברה", word_max=20)["rtl"]
    languages = {
        "株式会社山田": "ja",
        "ヤマダ": "ja",
        "예시 주식회사": "ko",
        "汉语": "zh",
        "漢語": "zh",
        "abc": None,
    }
    assert {text: phrase(text, word_max=20)["lang"] for text in languages} == languages
    assert phrase("範例", word_max=20)["region"] == "TW"
    assert phrase("示例", word_max=20)["region"] == "CN"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("short", ["short"]),
        ("abcdefgh", ["abcdefgh"]),
        ("abcdefghi", list("abcdefghi")),
        ("TEST-1234-5", ["TEST-", "1234-", "5"]),
        ("a abcdefghi b", ["a ", *"abcdefghi", " b"]),
        ("e\u0301bcdefghi", ["e\u0301", *"bcdefghi"]),
        ("", []),
    ],
)
def test_only_words_that_are_too_long_may_break_and_rather_after_punctuation(
    text: str, pieces: list[str]
) -> None:
    assert phrase(text, word_max=8)["pieces"] == pieces


# --- It fits ---


@pytest.mark.parametrize("name", ["W" * 500, "Wm " * 166, "漢" * 500, "ש" * 500, "w/" * 250])
def test_long_names_stay_within_the_page(name: str) -> None:
    facts = certificate(
        2, beneficiary=name, organisation_name=name, retirements=(retirement(project_name=name),) * 2
    )
    pdf = english(facts)
    found = pages(pdf)
    # The first page stays one page.
    assert facts.proof_url in found[0]
    assert squeezed(found[0]).count(squeezed(name)) >= 2
    assert_margins_are_white(pdf)


def test_the_largest_mass_stays_within_the_page() -> None:
    pdf = english(certificate(1, quantity_grams=QUANTITY_GRAMS_MAX * 1000 - 1))
    assert squeezed("999,999,999,999.999999 t CO₂e") in text_of(pdf)
    assert_margins_are_white(pdf)


def assert_margins_are_white(pdf: bytes) -> None:
    """Left and right, between the frame and the text."""
    picture = picture_of(pdf)
    width, height = picture.size
    inside_frame = round(width * 10 / 210), round(width * 20 / 210)
    margin = picture.crop((inside_frame[0], height // 20, inside_frame[1], height - height // 20))
    other = picture.crop(
        (width - inside_frame[1], height // 20, width - inside_frame[0], height - height // 20)
    )
    assert margin.getextrema() == other.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("mode", Mode)
def test_tables_of_any_length_keep_their_structure_over_the_pages(mode: Mode) -> None:
    counts = []
    for count in (1, 2, 7, 8, 9, 10, 11, 19, 20, 21, 33):
        name = "W" * (count * 20)
        facts = certificate(
            count, mode=mode, retirements=tuple(retirement(each, project_name=name) for each in range(count))
        )
        with pikepdf.open(io.BytesIO(english(facts))) as document:
            counts.append(len(document.pages))
    assert counts == sorted(counts)
    assert counts[0] == 2 < counts[-1]


def test_a_thousand_retirements_are_all_listed() -> None:
    found = text_of(english(certificate(1000)))
    assert all(squeezed(retirement(number).serial_last) in found for number in range(1000))


# --- The file ---


@pytest.mark.parametrize("mode", Mode)
def test_the_file_claims_to_be_for_the_archive_and_for_every_reader(mode: Mode) -> None:
    with pikepdf.open(
        io.BytesIO(render_certificate(certificate(mode=mode), language=Language.GERMAN))
    ) as document:
        metadata = document.open_metadata()
        assert metadata.pdfa_status == "3A"
        assert metadata["pdfuaid:part"] == "1"
        assert "0198b7a2-6c1e-7d33-9a41-5f20c8e1b604" in str(document.docinfo.Title)
        assert bool(document.Root.MarkInfo.Marked)
        assert "/StructTreeRoot" in document.Root
        assert str(document.Root.Lang) == "de"
        assert document.check_pdf_syntax() == []


def test_all_fonts_are_in_the_file() -> None:
    found = list(fonts_of(english(certificate(beneficiary="".join(NAMES.values())))))
    assert len(found) > 10
    assert all({"/FontFile2", "/FontFile3"} & keys for keys in found)


def test_the_same_facts_give_the_same_bytes_in_every_thread() -> None:
    expected = [render_certificate(certificate(logo=SVG_LOGO), language=language) for language in Language]
    assert len(set(expected)) == len(Language)
    with ThreadPoolExecutor(4) as threads:
        again = threads.map(
            lambda language: render_certificate(certificate(logo=SVG_LOGO), language=language),
            [*Language] * 3,
        )
        assert list(again) == expected * 3


# --- Logos ---


def red_pixels(pdf: bytes) -> int:
    """How much of the first page is of the red that only the picture has."""
    red, green, _ = picture_of(pdf).split()
    is_red = ImageChops.logical_and(
        red.point([each > 180 for each in range(256)], "1"),
        green.point([each < 30 for each in range(256)], "1"),
    )
    return int(is_red.histogram()[-1])


@pytest.mark.parametrize(
    "logo", [picture_logo("PNG"), picture_logo("JPEG")], ids=lambda logo: logo.media_type
)
def test_a_picture_is_drawn(logo: Logo) -> None:
    check_logo(logo)
    assert red_pixels(english(certificate(logo=logo))) > 1000


def test_a_drawing_is_drawn_and_described() -> None:
    check_logo(SVG_LOGO)
    pdf = english(certificate(logo=SVG_LOGO))
    assert "Nordlicht" in pages(pdf)[0].replace("Nordlicht Logistik AG", "")
    assert b"Logo of Nordlicht Logistik AG" in pdf


def svg(content: str) -> Logo:
    return Logo(
        "image/svg+xml",
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{content}</svg>'.encode(),
    )


@pytest.mark.parametrize(
    "logo",
    [
        svg('<image href="{secret}" width="9" height="9"/>'),
        svg('<image href="file://{secret}" width="9" height="9"/>'),
        svg('<image href="../../../../../../../../{secret}" width="9" height="9"/>'),
        svg('<image href="http://registry.example.test/a.png" width="9" height="9"/>'),
        svg('<image href="facts.json" width="9" height="9"/>'),
        Logo("image/svg+xml", b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>'),
        Logo("image/svg+xml", b"no picture"),
        Logo("image/svg+xml", b""),
        Logo("image/svg+xml", b"\xff\xfe"),
        Logo("image/png", b"no picture"),
        Logo("image/jpeg", picture_logo("PNG").data),
        Logo("image/gif", b"GIF89a"),
    ],
)
def test_a_logo_that_is_damaged_or_reaches_outside_itself_is_refused_and_left_out(
    logo: Logo, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture_logo("PNG").data)
    logo = replace(logo, data=logo.data.replace(b"{secret}", str(secret).encode()))
    with pytest.raises(LogoNotPrintable):
        check_logo(logo)
    assert red_pixels(english(certificate(logo=logo))) == 0


def test_a_document_can_read_nothing_but_what_it_is_handed() -> None:
    for source in ('#read("/etc/hostname")', '#read("../a")', '#include "fonts/OFL.txt"'):
        with pytest.raises(TypesettingFailed, match=r"not found|escape"):
            typeset(f'#set document(title: "x")\n{source}', {}, at=certificate().completed_at)
