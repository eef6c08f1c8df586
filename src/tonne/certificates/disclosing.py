"""A disclosure pack as a PDF: PDF/A-3a and PDF/UA-1 as certificates are, in English."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from tonne.certificates.phrases import phrase
from tonne.certificates.typesetting import font_families, typeset
from tonne.domain.accounts import Mode
from tonne.domain.disclosure import NOT_STATED, Disclosure, RetiredCredits, Share
from tonne.domain.mass import format_tonnes

# The world's English, which writes the day first.
_LOCALE = "en_001"
_CELL_CHARACTERS = 18
_LINE_CHARACTERS = 60
_SPACE = "\N{NO-BREAK SPACE}"
_FIRST_FONTS = ("Noto Sans", "Noto Sans CJK SC")
_DISPLAY_FIRST_FONTS = ("Noto Serif Display", *_FIRST_FONTS)

_TEXTS = {
    "projects_heading": "Projects",
    "projects_note": "As the California Health and Safety Code, section 44475.1 (AB 1305), asks for; letters are its. The "
    "verifier (f) is the project's, as the catalogue has it. Whether an independent third party verified the company's "
    f"own data and claims is {NOT_STATED} here.",
    "project_columns": [
        "(a) Seller; registry or programme",
        "(b) Project id",
        "(c) Project name in the registry",
        "(d) Type; site",
        "(e) Protocol",
        "(f) Verified by",
        "Quantity, t CO₂e",
    ],
    "shares_heading": "Carbon credits cancelled",
    "shares_note": "As ESRS E1-7 (ESRS E1, paragraph 59 and AR 62) asks for. The type is that of the bundle ordered from, "
    f"the standard is the registry's. What the records do not say is {NOT_STATED}. Shares are of the volume, and add up.",
    "share_columns": ["", "Quantity, t CO₂e", "Share, %"],
    "retirements_heading": "Retirements",
    "retirements_note": "Each can be looked up at its registry under the serial numbers and the reference. Serial numbers "
    "are inclusive. Credits are retired in whole tonnes; what of them the beneficiary's orders hold counts above.",
    "retirement_columns": [
        "Retired on",
        "Project",
        "Registry; project id",
        "Vintage",
        "Serial numbers",
        "Reference",
        "Retired, t",
        "Of it ordered, t CO₂e",
    ],
    "total_label": "Together",
}


def render_disclosure(disclosure: Disclosure) -> bytes:
    """Set a disclosure pack as a PDF, tagged and with its fonts in it. Safe to call from any thread.

    Characters no font has become a replacement sign. The same facts give the same bytes.

    Raises:
        TypesettingFailed: a name holds a mark that no font can put on its letter.
    """
    facts = json.dumps(_facts(disclosure), ensure_ascii=False).encode()
    return typeset(_layout(), {"facts.json": facts}, at=disclosure.as_of)


@cache
def _layout() -> str:
    return (Path(__file__).parent / "disclosure.typ").read_text(encoding="utf-8")


@cache
def _fonts(first: tuple[str, ...]) -> list[str]:
    return [*first, *(family for family in font_families() if family not in first)]


def _facts(disclosure: Disclosure) -> dict[str, Any]:
    first, last = _date(disclosure.first_day), _date(disclosure.last_day)
    is_test = disclosure.mode is Mode.TEST
    return _TEXTS | {
        "fonts": _fonts(_FIRST_FONTS),
        "display_fonts": _fonts(_DISPLAY_FIRST_FONTS),
        "title": f"Carbon credits retired from {first} to {last}",
        "heading": "Carbon credits retired on behalf of",
        "watermark": "TEST – nothing was retired" if is_test else None,
        "beneficiaries": [phrase(name, word_max=_LINE_CHARACTERS) for name in disclosure.beneficiaries],
        "statement": _statement(disclosure, first, last),
        "made": f"As of {disclosure.as_of:%Y-%m-%d %H:%M} UTC. Days are those of the retirement at the registry.",
        "footer": f"Retirements from {first} to {last}",
        "projects": [_project(disclosure, each, grams) for each, grams in disclosure.projects],
        "shares": _share_rows(disclosure),
        "retirements": [_retirement(each) for each in disclosure.credits],
        "total": _tonnes(disclosure.grams),
        "retired_total": _number(sum(each.tonnes for each in disclosure.credits)),
    }


def _statement(disclosure: Disclosure, first: str, last: str) -> str:
    mass = f"{_tonnes(disclosure.grams)}{_SPACE}t{_SPACE}CO₂e"
    if disclosure.mode is Mode.TEST:
        return (
            f"This is a test: nothing was retired. {mass} were ordered and simulated from {first} to {last}."
        )
    later = ""
    if disclosure.withdrawn_tonnes:
        later = (
            f" Of the tonnes listed, {_number(disclosure.withdrawn_tonnes)} were reversed or invalidated later; "
            f"{_number(disclosure.replaced_tonnes)} of other credits are retired in their place."
        )
    return (
        f"Credits for {mass} were retired at carbon registries from {first} to {last}, both days included.{later} "
        "This says what was retired, for whom, and where it can be checked; it is no claim about anybody's emissions."
    )


def _project(disclosure: Disclosure, project: RetiredCredits, grams: int) -> dict[str, Any]:
    cell = _CELL_CHARACTERS
    return {
        "seller": phrase(disclosure.seller, word_max=cell),
        "registry": phrase(project.registry_name, word_max=cell),
        "id": phrase(project.registry_project_id, word_max=cell),
        "name": phrase(project.project_name, word_max=cell),
        "type": project.offset_type_stated,
        "site": phrase(project.site, word_max=cell),
        "protocol": phrase(project.protocol_stated, word_max=cell),
        "verified_by": phrase(project.verifying_body or NOT_STATED, word_max=cell),
        "quantity": _tonnes(grams),
    }


def _share_rows(disclosure: Disclosure) -> list[dict[str, Any]]:
    planned = disclosure.planned
    rows = [_main("Cancelled in the period", disclosure.grams)]
    breakdowns = (
        ("By type of project (AR 62 a)", disclosure.by_offset_type),
        ("Of removals, by sink: biogenic or technological (AR 62 b)", disclosure.removals_by_sink),
        ("By quality standard (AR 62 c)", disclosure.by_standard),
        ("By place of the project (AR 62 d)", disclosure.by_place),
        (
            "By corresponding adjustment under Article 6 of the Paris Agreement (AR 62 e)",
            disclosure.by_corresponding_adjustment,
        ),
    )
    for name, shares in breakdowns:
        rows += _breakdown(name, shares)
    rows.append(_main("Planned to be cancelled, from orders that are paid (paragraph 59 b)", planned.grams))
    rows.append(_part("allocated, not confirmed by the registry yet", planned.allocated_grams, ""))
    rows.append(
        _part("waiting for credits, or for other orders to fill the tonne with it", planned.waiting_grams, "")
    )
    return rows


def _breakdown(name: str, shares: Sequence[Share]) -> list[dict[str, Any]]:
    if not shares:
        return []
    return [
        _main(name, None),
        *(_part(share.name, share.grams, format_share(share)) for share in shares),
    ]


def _main(name: str, grams: int | None) -> dict[str, Any]:
    return {
        "is_main": True,
        "name": name,
        "quantity": "" if grams is None else _tonnes(grams),
        "share": "",
    }


def _part(name: str, grams: int, share: str) -> dict[str, Any]:
    return {
        "is_main": False,
        "phrase": phrase(name, word_max=_LINE_CHARACTERS),
        "quantity": _tonnes(grams),
        "share": share,
    }


def format_share(share: Share) -> str:
    """A share in percent, with two decimals."""
    whole, rest = divmod(share.hundredths, 100)
    return f"{whole}.{rest:02d}"


def _retirement(each: RetiredCredits) -> dict[str, Any]:
    assert each.retired_on is not None
    cell = _CELL_CHARACTERS
    return {
        "retired_on": each.retired_on.isoformat(),
        "project": phrase(each.project_name, word_max=cell),
        "registry": phrase(each.registry_name, word_max=cell),
        "id": phrase(each.registry_project_id, word_max=cell),
        "vintage": str(each.vintage_year),
        "serial_first": phrase(each.serial_first, word_max=cell),
        "serial_last": phrase(each.serial_last, word_max=cell),
        "reference": phrase(each.registry_reference or "", word_max=cell),
        "tonnes": _tonnes_of(each),
        "quantity": _tonnes(each.ordered_grams),
    }


def _tonnes_of(each: RetiredCredits) -> str:
    if not each.withdrawn_tonnes:
        return _number(each.tonnes)
    return f"{_number(each.tonnes)}, {_number(each.withdrawn_tonnes)} withdrawn later"


def _date(day: date) -> str:
    return format_date(day, "long", locale=_LOCALE)


def _number(number: int | Decimal) -> str:
    return format_decimal(number, locale=_LOCALE, decimal_quantization=False)


def _tonnes(grams: int) -> str:
    return _number(Decimal(format_tonnes(grams)))
