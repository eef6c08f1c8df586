"""Near matches, for messages that say what may have been meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rapidfuzz import fuzz, process, utils
from rapidfuzz.distance import DamerauLevenshtein

SHOWN_MAX = 3
_CODE_EDITS_MAX = 1
_SCORE_MIN = 75


def near_codes(wanted: str, codes: Sequence[str]) -> list[str]:
    """Up to three codes that a slip of one character turns into the one that was wanted."""
    found = process.extract(
        wanted.upper(),
        codes,
        scorer=DamerauLevenshtein.distance,
        score_cutoff=_CODE_EDITS_MAX,
        limit=SHOWN_MAX,
    )
    return [code for code, _, _ in found]


def near_names(wanted: str, names: Mapping[str, str]) -> list[str]:
    """Up to three keys of `names` whose text is most like what was wanted, best first."""
    found = process.extract(
        wanted,
        names,
        scorer=fuzz.token_set_ratio,
        processor=utils.default_process,
        score_cutoff=_SCORE_MIN,
        limit=SHOWN_MAX,
    )
    return [key for _, _, key in found]


def hint(matches: Sequence[str]) -> str:
    """What to append to a message; nothing where nothing is near."""
    return f"; near matches: {', '.join(matches)}" if matches else ""
