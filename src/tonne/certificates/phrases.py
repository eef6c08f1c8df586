"""Text of others, made ready for the layout: literal, with its direction, its language and where a line may break."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TypedDict

from tonne.certificates.fonts import printable

# Of these scripts, lines break between characters or by the layout's own dictionary.
_BREAKS_ANYWHERE = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # Chinese, Japanese, Korean
)
# Not the spaces that hold together: U+00A0, U+2007, U+202F.
_SPACES = " \u1680\u2000-\u2006\u2008-\u200a\u205f\u3000"
_WORD = re.compile(f"[^{_SPACES}{_BREAKS_ANYWHERE}]+")
_AFTER_PUNCTUATION = re.compile(r"(?<=[-/_.,:;=&?@])(?=[^-/_.,:;=&?@])")
_KANA = re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_JAPANESE_FORMS = re.compile("株式会社|有限会社|合同会社|一般社団法人|財団法人")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class Phrase(TypedDict):
    """`pieces` joined are `text`: a line may break between two, as it may at spaces.

    `words` are the stretches that should stay on one line; `is_code` is a short one with hyphens; `lang` (ISO 639) and `region` choose the shapes of
    characters that Chinese, Japanese and Korean share, and are empty where they need none.
    """

    text: str
    pieces: list[str]
    words: list[str]
    is_code: bool
    rtl: bool
    lang: str | None
    region: str | None


def phrase(text: str, *, word_max: int) -> Phrase:
    """Make `text` a phrase whose words longer than `word_max` characters may be broken anywhere."""
    literal = printable(text)
    lang, region = _east_asian_language(literal)
    return {
        "text": literal,
        "pieces": list(_pieces(literal, word_max)),
        "words": _WORD.findall(literal),
        "is_code": len(literal) <= word_max and " " not in literal and "-" in literal,
        "rtl": _reads_right_to_left(literal),
        "lang": lang,
        "region": region,
    }


def _pieces(text: str, word_max: int) -> Iterator[str]:
    start = 0
    for word in _WORD.finditer(text):
        if len(word[0]) <= word_max:
            continue
        yield from filter(None, [text[start : word.start()]])
        for part in _AFTER_PUNCTUATION.split(word[0]):
            yield from [part] if len(part) <= word_max else _characters(part)
        start = word.end()
    yield from filter(None, [text[start:]])


def _characters(text: str) -> list[str]:
    """The characters of `text`, each with the marks that belong to it."""
    characters: list[str] = []
    for each in text:
        if characters and (_joins(each) or characters[-1].endswith("\u200d")):
            characters[-1] += each
        else:
            characters.append(each)
    return characters


def _joins(character: str) -> bool:
    return unicodedata.category(character).startswith("M") or character in "\u200c\u200d"


def _reads_right_to_left(text: str) -> bool:
    """Whether the first letter with a direction has that one. Source: Unicode Standard Annex 9, rules P2 and P3."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((each for each in directions if each in {"L", "R", "AL"}), "L") != "L"


def _east_asian_language(text: str) -> tuple[str | None, str | None]:
    """Guess from signs that one language alone uses; simplified Chinese where Han characters tell no more."""
    if _KANA.search(text) or _JAPANESE_FORMS.search(text):
        return "ja", None
    if _HANGUL.search(text):
        return "ko", None
    if not _HAN.search(text):
        return None, None
    han = "".join(_HAN.findall(text))
    is_traditional = not _is_in(han, "gb2312") and _is_in(han, "big5")
    return ("zh", "TW") if is_traditional else ("zh", "CN")


def _is_in(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
