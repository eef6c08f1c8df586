"""Names of beneficiaries: what a certificate can print, and a person can see."""

from __future__ import annotations

import unicodedata

from tonne.certificates.fonts import unprintable_characters
from tonne.domain.errors import ValidationFailed

NAME_LENGTH_MAX = 200


def read_beneficiary_name(text: str, pointer: str) -> str:
    """Read a beneficiary's name; blanks around it are cut off.

    Raises:
        ValidationFailed: it is empty, longer than 200 characters, or has nothing to see or what certificates can't print.
    """
    name = text.strip()
    if len(name) > NAME_LENGTH_MAX:
        raise ValidationFailed.at(pointer, f"must have at most {NAME_LENGTH_MAX} characters")
    missing = unprintable_characters(name)
    if missing:
        shown = ", ".join(f"U+{ord(character):04X}" for character in missing[:5])
        raise ValidationFailed.at(
            pointer, f"has characters that certificates can't print ({shown}): write it in others"
        )
    if not any(unicodedata.category(character)[0] in "LNSP" for character in name):
        raise ValidationFailed.at(pointer, "must name somebody")
    return name
