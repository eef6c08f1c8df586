"""A reader gets the language they like best, and every language says the same."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from tonne.certificates.fonts import unprintable_characters
from tonne.certificates.languages import Language, choose_language
from tonne.certificates.texts import TEXTS


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-AT,en;q=0.8", "de"),
        ("pt-BR", "pt"),
        ("FR-ca;q=1.0", "fr"),
        ("fr;q=0.5,es;q=0.9", "es"),
        ("it;q=0.5,nl;q=0.5", "it"),
        ("xx,nl;q=0.001", "nl"),
        ("xx,*;q=0.1", "en"),
        ("en;q=0,*", "de"),
        ("de;q=0,fr;q=0.1", "fr"),
        # What can't be read is passed over.
        ("de;q=2,fr;q=0.1", "fr"),
        ("de;q=1.001,fr", "fr"),
        ("de;q=0.1234,fr;q=0.1", "fr"),
        ("de;q=-1,fr;q=0.1", "fr"),
        ("de;level=1,fr;q=0.1", "fr"),
        (";;;,,,=q", "en"),
        ("\x00\ud800", "en"),
        ("zz," * 10_000 + "de", "en"),
    ],
)
def test_the_language_liked_best_is_chosen(header: str | None, language: str) -> None:
    assert choose_language(header) is Language(language)


def leaves(texts: Any, path: str = "") -> dict[str, str]:
    if not is_dataclass(texts):
        return {path: str(texts)}
    return {
        key: text
        for field in fields(texts)
        for key, text in leaves(getattr(texts, field.name), f"{path}.{field.name}").items()
    }


@pytest.mark.parametrize("language", Language)
def test_every_language_has_every_text_with_the_same_places_to_fill_in(language: Language) -> None:
    english, other = leaves(TEXTS[Language.ENGLISH]), leaves(TEXTS[language])
    assert other.keys() == english.keys()
    for key, text in other.items():
        assert text.strip() == text != ""
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key
        assert unprintable_characters(text) == []


CLAIMS = re.compile(
    r"neutr|offset|compens|kompens|ausgleich|ausgeglichen|gecompens|net.?zero|green", re.IGNORECASE
)


@pytest.mark.parametrize("language", Language)
def test_no_text_claims_more_than_what_was_retired(language: Language) -> None:
    assert [text for text in leaves(TEXTS[language]).values() if CLAIMS.search(text)] == []
    assert CLAIMS.search("klimaneutral")


@pytest.mark.parametrize("language", Language)
def test_the_texts_of_test_mode_differ_from_the_live_ones(language: Language) -> None:
    live, test = leaves(TEXTS[language].live), leaves(TEXTS[language].test)
    assert all(live[key] != test[key] for key in live)
