"""A certificate as a PDF: PDF/A-3a for the archive, PDF/UA-1 for every reader, the same bytes for the same facts."""

from __future__ import annotations

import base64
import io
import json
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import segno
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from tonne.certificates.fonts import REPLACEMENT, printable
from tonne.certificates.languages import Language
from tonne.certificates.phrases import Phrase, phrase
from tonne.certificates.texts import TEXTS, Texts, Wording
from tonne.certificates.typesetting import TypesettingFailed, font_families, typeset
from tonne.domain.accounts import Mode
from tonne.domain.certificate import Certificate, CertifiedRetirement, Logo
from tonne.domain.mass import format_tonnes, readable_mass
from tonne.domain.withdrawal import WithdrawalKind

# Characters that surely fit on a line: of the first page, of its two columns and of the table's columns.
_LINE_CHARACTERS = 40
_HALF_LINE_CHARACTERS = 28
_CELL_CHARACTERS = 16

_IMAGE_TYPES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


# Between a number and its unit no line breaks.
_SPACE = "\N{NO-BREAK SPACE}"
# The first that has a character prints it.
_FIRST_FONTS = ("Noto Sans", "Noto Sans CJK SC")
_DISPLAY_FIRST_FONTS = ("Noto Serif Display", "Noto Naskh Arabic", *_FIRST_FONTS)


class LogoNotPrintable(ValueError):
    """The picture is of no known kind, is damaged, or refers to something outside itself."""


def render_certificate(certificate: Certificate, *, language: Language) -> bytes:
    """Set the certificate in `language` as a PDF, tagged and with its fonts in it.

    Dates are those of UTC. Characters no font has become a replacement sign, and a logo that can't be drawn is left
    out: whoever has an order gets the certificate. Refuse both when they are set: `unprintable_characters`,
    `check_logo`. Safe to call from any thread.
    """
    facts = _facts(certificate, language)
    files = {"qr.svg": _qr_code(certificate.proof_url)}
    if certificate.logo is not None:
        try:
            return _typeset(
                facts | _logo_facts(certificate.logo), files | _logo_files(certificate.logo), certificate
            )
        except (LogoNotPrintable, TypesettingFailed):
            pass
    try:
        return _typeset(facts, files, certificate)
    except TypesettingFailed:
        return _typeset(_without_marks(facts), files, certificate)


def check_logo(logo: Logo) -> None:
    """Draw the logo once, to know that certificates will have it.

    Raises:
        LogoNotPrintable: it is no PNG, JPEG or SVG, is damaged, or is an SVG that refers to another file or address.
    """
    kind = _IMAGE_TYPES.get(logo.media_type)
    if kind is None:
        raise LogoNotPrintable(f"{logo.media_type} is none of {', '.join(_IMAGE_TYPES)}")
    source = f'#set document(title: "Logo")\n#image(bytes(json("logo.json")), format: "{kind}", alt: "Logo")'
    try:
        typeset(source, {"logo.json": json.dumps(list(logo.data)).encode()}, at=_ANY_TIME)
        # And the way certificates draw it.
        source = '#set document(title: "Logo")\n#image("logo.svg", alt: "Logo")'
        typeset(source, _logo_files(logo), at=_ANY_TIME)
    except TypesettingFailed as error:
        raise LogoNotPrintable(str(error)) from error


@cache
def _layout() -> str:
    return (Path(__file__).parent / "certificate.typ").read_text(encoding="utf-8")


def _typeset(facts: dict[str, Any], files: dict[str, bytes], certificate: Certificate) -> bytes:
    facts_file = json.dumps(facts, ensure_ascii=False).encode()
    return typeset(_layout(), files | {"facts.json": facts_file}, at=certificate.completed_at)


def _without_marks(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without accents on letters of another script, which no single font can put together.

    All combining marks go, as nothing tells which of them it was; what was one character before stays.
    """
    text = json.dumps(facts, ensure_ascii=False)
    marks = {each for each in text if unicodedata.category(each).startswith("M")}
    return dict(json.loads(text.translate(dict.fromkeys(map(ord, marks), REPLACEMENT))))


def _qr_code(url: str) -> bytes:
    """The quiet zone around it is the white of the page."""
    picture = io.BytesIO()
    segno.make_qr(url, error="m").save(picture, kind="svg", border=0, xmldecl=False)
    return picture.getvalue()


def _logo_facts(logo: Logo) -> dict[str, Any]:
    return {"logo": "logo.svg", "logo_is_wide": logo.media_type != "image/svg+xml"}


def _logo_files(logo: Logo) -> dict[str, bytes]:
    """The logo as SVG: pixels are put into one that is as large as their place, at its left."""
    kind = _IMAGE_TYPES.get(logo.media_type)
    if kind is None:
        raise LogoNotPrintable(f"{logo.media_type} is none of {', '.join(_IMAGE_TYPES)}")
    if kind == "svg":
        return {"logo.svg": logo.data}
    data = base64.b64encode(logo.data).decode("ascii")
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 200" width="600" height="200">'
        '<image width="600" height="200" preserveAspectRatio="xMinYMid meet" '
        f'href="data:{logo.media_type};base64,{data}"/></svg>'
    )
    return {"logo.svg": picture.encode()}


# --- Facts for the layout ---


def _facts(certificate: Certificate, language: Language) -> dict[str, Any]:
    texts = TEXTS[language]
    is_test = certificate.mode is Mode.TEST
    wording = texts.test if is_test else texts.live
    locale = _locale(language)
    organisation = phrase(certificate.organisation_name, word_max=_HALF_LINE_CHARACTERS)
    exact_mass = f"{_tonnes(certificate.quantity_grams, locale)}{_SPACE}t{_SPACE}CO₂e"
    return {
        "lang": language.value,
        "fonts": _fonts(_FIRST_FONTS),
        "display_fonts": _fonts(_DISPLAY_FIRST_FONTS),
        "title": f"{wording.title} {certificate.order_id}",
        "watermark": texts.watermark if is_test else None,
        "logo": None,
        "logo_is_wide": False,
        "logo_alternative": texts.logo_alternative.format(name=organisation["text"]),
        "organisation": organisation,
        "heading": wording.title,
        "on_behalf_of": wording.on_behalf_of,
        "beneficiary": phrase(certificate.beneficiary, word_max=_LINE_CHARACTERS),
        "mass": phrase(
            f"{_readable(certificate.quantity_grams, locale)}{_SPACE}CO₂e", word_max=_LINE_CHARACTERS
        ),
        "mass_exactly": texts.exactly.format(mass=exact_mass),
        "statement": wording.statement.format(mass=f"{_tonnes(certificate.quantity_grams, locale)}{_SPACE}t"),
        "particulars": _particulars(certificate, texts, wording, organisation, locale),
        "qr_alternative": texts.qr_alternative.format(url=printable(certificate.proof_url)),
        "check_heading": texts.check_heading,
        "check_text": texts.check_text,
        "proof_url": phrase(certificate.proof_url, word_max=_LINE_CHARACTERS),
        "proof_link": _link(certificate.proof_url),
        "footer": f"{texts.order} {certificate.order_id}",
        **_table_facts(texts, wording),
        "rows": [_row(each, locale) for each in certificate.retirements],
        "total": f"{_tonnes(certificate.quantity_grams, locale)}{_SPACE}t",
        "aftermath_heading": texts.aftermath,
        "aftermath": [
            phrase(printable(line), word_max=_LINE_CHARACTERS)
            for each in certificate.retirements
            for line in _aftermath(each, texts, locale)
        ],
    }


def _aftermath(retirement: CertifiedRetirement, texts: Texts, locale: Locale) -> Iterator[str]:
    """What became of a retirement's credits, a sentence each."""
    aftermath = retirement.aftermath
    if aftermath is None:
        return
    for withdrawn in aftermath.withdrawn:
        text = texts.reversed if withdrawn.kind is WithdrawalKind.REVERSED else texts.invalidated
        yield text.format(
            tonnes=f"{_number(withdrawn.tonnes, locale)}{_SPACE}t",
            reference=retirement.registry_reference,
            date=_date(withdrawn.at.astimezone(UTC), locale),
            reason=withdrawn.reason,
        )
    for each in aftermath.replaced_by:
        is_done = each.retired_on is not None
        yield (texts.replaced if is_done else texts.being_replaced).format(
            tonnes=f"{_number(each.tonnes, locale)}{_SPACE}t",
            project=each.project_name,
            registry=f"{each.registry_name} {each.registry_project_id}",
            vintage=each.vintage_year,
            date="" if each.retired_on is None else _date(each.retired_on, locale),
            serials=f"{each.serial_first} – {each.serial_last}",
            reference=each.registry_reference,
        )


@cache
def _locale(language: Language) -> Locale:
    """English is the world's, which writes the day first."""
    return Locale.parse("en_001" if language is Language.ENGLISH else language.value)


@cache
def _fonts(first: tuple[str, ...]) -> list[str]:
    return [*first, *(family for family in font_families() if family not in first)]


def _particulars(
    certificate: Certificate, texts: Texts, wording: Wording, organisation: Phrase, locale: Locale
) -> list[tuple[str, Phrase]]:
    """Names and values, two to a line."""
    values = {
        texts.order: str(certificate.order_id),
        texts.ordered_on: _date(certificate.ordered_at.astimezone(UTC), locale),
        wording.completed_on: _date(certificate.completed_at.astimezone(UTC), locale),
        texts.retirements_count: _number(len(certificate.retirements), locale),
    }
    first, *others = [(name, phrase(value, word_max=_LINE_CHARACTERS)) for name, value in values.items()]
    return [first, (texts.ordered_by, organisation), *others]


def _table_facts(texts: Texts, wording: Wording) -> dict[str, Any]:
    return {
        "retirements_heading": wording.retirements,
        "retirements_note": texts.retirements_note,
        "columns": [texts.project, texts.registry, texts.credits, texts.whole_retirement, texts.this_order],
        "vintage": texts.vintage,
        "serial_numbers": texts.serial_numbers,
        "methodology": texts.methodology,
        "reference": texts.reference,
        "retired_on": wording.retired_on,
        "total_label": texts.total,
    }


def _row(retirement: CertifiedRetirement, locale: Locale) -> dict[str, Any]:
    code = retirement.country_code
    country = locale.territories.get(code.upper()) or retirement.country_name
    link = _link(retirement.registry_link) if retirement.registry_link else None
    return {
        "project": phrase(retirement.project_name, word_max=_CELL_CHARACTERS),
        "type": phrase(retirement.project_type, word_max=_CELL_CHARACTERS),
        "country": phrase(f"{country} ({code})", word_max=_CELL_CHARACTERS),
        "registry": phrase(retirement.registry_name, word_max=_CELL_CHARACTERS),
        "registry_project": phrase(retirement.registry_project_id, word_max=_CELL_CHARACTERS),
        "registry_link": link,
        "registry_address": _optional(retirement.registry_link),
        "methodology": _optional(retirement.methodology),
        "reference": phrase(retirement.registry_reference, word_max=_CELL_CHARACTERS),
        "vintage": str(retirement.vintage_year),
        "serial_first": phrase(retirement.serial_first, word_max=_CELL_CHARACTERS),
        "serial_last": phrase(retirement.serial_last, word_max=_CELL_CHARACTERS),
        "retired_on": _date(retirement.retired_on, locale),
        "tonnes": f"{_number(retirement.tonnes, locale)}{_SPACE}t",
        "part": f"{_tonnes(retirement.quantity_grams, locale)}{_SPACE}t",
        "part_grams": f"{_number(retirement.quantity_grams, locale)}{_SPACE}g",
    }


def _optional(text: str | None) -> Phrase | None:
    return phrase(text, word_max=_CELL_CHARACTERS) if text else None


def _link(url: str) -> str | None:
    """The address to open, or nothing where it isn't one of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return None
    # What is already escaped stays; spaces, brackets and other scripts are escaped.
    return quote(url, safe="%/:?#@!$&'*+,;=~-._")


def _date(day: date, locale: Locale) -> str:
    return format_date(day, "long", locale=locale)


def _number(number: int | Decimal, locale: Locale) -> str:
    """Every digit is printed; only the signs between them are those of the language."""
    return format_decimal(number, locale=locale, decimal_quantization=False)


def _tonnes(grams: int, locale: Locale) -> str:
    return _number(Decimal(format_tonnes(grams)), locale)


def _readable(grams: int, locale: Locale) -> str:
    mass = readable_mass(Decimal(format_tonnes(grams)))
    return f"{_number(mass.amount, locale)}{_SPACE}{mass.unit}"
