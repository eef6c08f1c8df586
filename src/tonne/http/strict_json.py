"""Reading a JSON body strictly: what two parsers could read differently is refused, not guessed."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NoReturn

import msgspec

from tonne.domain.errors import ValidationFailed

DEPTH_MAX = 32
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PATH = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"(?:missing required|contains unknown) field `([^`]*)`")


def read_json(body: bytes, kind: Any) -> Any:
    """Decode a JSON body into a wire struct.

    Raises:
        ValidationFailed: malformed JSON, a duplicate key, NaN, nesting deeper than 32, or not what `kind` takes;
            the violation names the place.
    """
    _refuse_deep_nesting(body)
    _refuse_ambiguity(body)
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _at_its_place(str(error)) from None
    except msgspec.DecodeError:
        # What the strict look above let through and this decoder does not: half a surrogate pair.
        raise ValidationFailed.at(
            "", "the body is not well-formed Unicode: it has a lone surrogate"
        ) from None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _refuse_deep_nesting(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return
    depth = 0
    for character in _STRING.sub(b"", body):
        if character in b"{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise ValidationFailed.at("", f"the body must not nest deeper than {DEPTH_MAX} levels")
        elif character in b"}]":
            depth -= 1


def _refuse_ambiguity(body: bytes) -> None:
    try:
        _STRICT.decode(body.decode())
    except UnicodeDecodeError:
        raise ValidationFailed.at("", "the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValidationFailed.at("", f"the body is not well-formed JSON: {error.msg} at {place}") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        shown = twice.encode("unicode_escape").decode()
        raise ValidationFailed.at("", f"the property {shown[:60]!r} is given twice in one object")


def _no_constant(name: str) -> NoReturn:
    raise ValidationFailed.at("", f"{name} is not JSON")


# Numbers are left unread here: a number of 5,000 digits is the typed decoder's to refuse.
_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_int=len, parse_float=len, parse_constant=_no_constant
)


def _at_its_place(message: str) -> ValidationFailed:
    what, _, path = message.partition(" - at `$")
    steps = [name or index for name, index in _PATH.findall(path.rstrip("`"))]
    field = _FIELD.search(what)
    if field is not None:
        steps.append(field.group(1))
        said = "is required" if "missing required" in what else "is not a property of this request"
        return ValidationFailed.at(_pointer(steps), said)
    return ValidationFailed.at(_pointer(steps), what[:1].lower() + what[1:])


def _pointer(steps: list[str]) -> str:
    return "".join(f"/{step}".replace("...", "*") for step in steps)
