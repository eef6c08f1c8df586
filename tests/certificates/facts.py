"""Certificates of companies, projects and serial numbers that do not exist, and ways to read a PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pikepdf
import pypdfium2
from PIL import Image

from tonne.domain.accounts import Mode
from tonne.domain.certificate import Certificate, CertifiedRetirement, Logo

AT = datetime(2026, 3, 14, 16, 6, tzinfo=UTC)

_PROJECTS = (
    ("Rimba Lestari Peatland Restoration", "Wetland restoration", "Indonesia", "ID", "VTR-0007 v2.1"),
    ("Kisiwa Efficient Cookstoves", "Energy efficiency: households", "Kenya", "KE", None),
    ("Ventos do Norte Wind Power", "Wind power", "Brazil", "BR", "VTR-0031"),
)


def retirement(number: int = 0, **changed: Any) -> CertifiedRetirement:
    name, kind, country, code, methodology = _PROJECTS[number % 3]
    project, year = 1200 + number, 2019 + number % 4
    facts: dict[str, Any] = {
        "retirement_id": UUID(int=number),
        "project_name": name,
        "project_type": kind,
        "country_name": country,
        "country_code": code,
        "registry_name": "Verdant Test Registry",
        "registry_project_id": f"TEST-{project}",
        "registry_link": f"https://registry.example.test/projects/TEST-{project}",
        "methodology": methodology,
        "vintage_year": year,
        "serial_first": f"TEST-VTR-{project}-{year}-0001-0004{number:03d}",
        "serial_last": f"TEST-VTR-{project}-{year}-0001-0005{number:03d}",
        "tonnes": 1001,
        "quantity_grams": 4023,
        "retired_on": date(2026, 3, 13),
        "registry_reference": f"TEST-RET-{88100 + number}",
    }
    return CertifiedRetirement(**facts | changed)


def certificate(count: int = 3, **changed: Any) -> Certificate:
    facts: dict[str, Any] = {
        "code": "3fT9kQ2mXv7LpR5sWb8nZa",
        "proof_url": "https://offsets.example.test/certificates/3fT9kQ2mXv7LpR5sWb8nZa",
        "order_id": UUID("0198b7a2-6c1e-7d33-9a41-5f20c8e1b604"),
        "mode": Mode.LIVE,
        "organisation_name": "Nordlicht Logistik AG",
        "beneficiary": "Fabrikate GmbH",
        "quantity_grams": 4023 * count,
        "ordered_at": datetime(2026, 3, 12, 9, 30, tzinfo=UTC),
        "completed_at": datetime(2026, 3, 14, 16, 5, tzinfo=UTC),
        "retirements": tuple(retirement(number) for number in range(count)),
    }
    return Certificate(**facts | changed)


SVG_LOGO = Logo(
    "image/svg+xml",
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 60" width="220" height="60">'
    b'<circle cx="30" cy="30" r="26" fill="#1d3f72"/><path d="M14 34 L30 12 L46 34 Z" fill="#fff"/>'
    b'<text x="66" y="39" font-family="Noto Sans" font-weight="600" font-size="26" fill="#1d3f72">Nordlicht</text>'
    b"</svg>",
)


def picture_logo(kind: str) -> Logo:
    """A red square, as `PNG` or `JPEG`."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 0, 0)).save(file, kind)
    return Logo(f"image/{kind.lower()}", file.getvalue())


def pages(pdf: bytes) -> list[str]:
    """The text of each page as a reader copies it."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [_text_of(page) for page in document]


def _text_of(page: pypdfium2.PdfPage) -> str:
    text_page = page.get_textpage()
    return str(text_page.get_text_bounded())


def squeezed(text: str) -> str:
    """Without the white space that depends on where a line broke."""
    return re.sub(r"[\s\u00a0\u202f]+", "", text)


def text_of(pdf: bytes) -> str:
    return squeezed("".join(pages(pdf)))


def picture_of(pdf: bytes, page: int = 0) -> Image.Image:
    with pypdfium2.PdfDocument(pdf) as document:
        picture: Image.Image = document[page].render(scale=2).to_pil()
        return picture.convert("RGB")


def fonts_of(pdf: bytes) -> Iterator[set[str]]:
    """For each font of each page, the keys of its descriptor."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            for font in page.Resources.Font.values():
                yield set(font["/DescendantFonts"][0]["/FontDescriptor"].keys())
