"""Typst, shut in: it sees the vendored fonts and the files it is handed, and nothing else."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast

import typst

from tonne.certificates.fonts import FONTS_DIRECTORY

# PDF/A-3a: kept readable for decades, with its structure. PDF/UA-1: read aloud in the right order.
_STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]
_MAIN = "main"


class TypesettingFailed(Exception):
    """The document can't be made of these files; the message says why."""


# A compiler keeps what it has worked out, so each thread has its own.
_here = threading.local()
_STARTING = threading.Lock()


def _compiler() -> typst.Compiler:
    compiler: typst.Compiler | None = getattr(_here, "compiler", None)
    if compiler is None:
        with _STARTING:
            directory = _empty_directory()
            compiler = typst.Compiler(
                root=directory,
                font_paths=_fonts(),
                ignore_system_fonts=True,
                package_path=directory,
                package_cache_path=directory,
            )
        _here.compiler = compiler
    return compiler


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS_DIRECTORY)]
    )


@cache
def _empty_directory() -> str:
    """The root of everything a document could read; removed when the process ends."""
    directory = tempfile.mkdtemp(prefix="tonne-empty-")
    # A forked process may have removed it; what is compiled from memory doesn't miss it.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def font_families() -> list[str]:
    """The names of all vendored families, in alphabetical order."""
    return _fonts().families()


def typeset(source: str, files: Mapping[str, bytes], *, at: datetime) -> bytes:
    """Compile Typst source that may read `files` (UTF-8, by name) into a PDF that says it was made `at`.

    The same source, files and time give the same bytes.

    Raises:
        TypesettingFailed: a picture can't be drawn, or a character has no font.
    """
    document = cast("Any", {_MAIN: source.encode(), **files})
    try:
        pdf = _compiler().compile(
            document, format="pdf", pdf_standards=_STANDARDS, timestamp=int(at.timestamp())
        )
    except (typst.TypstError, RuntimeError) as error:
        raise TypesettingFailed(str(error)) from error
    assert isinstance(pdf, bytes)
    return pdf
