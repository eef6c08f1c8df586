"""Reading a JSON body strictly: what two parsers could read differently is refused, not guessed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn

import msgspec
import msgspec.inspect

from tonne.domain.errors import ValidationFailed

DEPTH_MAX = 32
# What decides the depth of a place: quotes, brackets, and escapes, which may hide either.
_TOKEN = re.compile(rb"""\\.|["{}\[\]]""", re.DOTALL)
_PATH = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_JSON_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
}
_QUOTED = re.compile(r"`([^`]*)`")
_FIELD = re.compile(r"(?:missing required|contains unknown) field `([^`]*)`")


def read_json(body: bytes, kind: Any) -> Any:
    """Decode a JSON body into a wire struct.

    Raises:
        ValidationFailed: malformed JSON, a duplicate key, NaN, nesting deeper than 32, or not what `kind` takes;
            the violation names the place.
    """
    _refuse_deep_nesting(body)
    _refuse_ambiguity(body)
    _refuse_nul(body)
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _at_its_place(str(error), kind) from None
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
    in_string = False
    for token in _TOKEN.findall(body):
        if token == b'"':
            in_string = not in_string
        elif not in_string and token in b"{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise ValidationFailed.at("", f"the body must not nest deeper than {DEPTH_MAX} levels")
        elif not in_string and token in b"}]":
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
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = name[:60].encode("unicode_escape").decode()
            raise ValidationFailed.at("", f"the property {shown!r} is given twice in one object")
        seen.add(name)


def _no_constant(name: str) -> NoReturn:
    raise ValidationFailed.at("", f"{name} is not JSON")


# Numbers are left unread here: a number of 5,000 digits is the typed decoder's to refuse.
_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_int=len, parse_float=len, parse_constant=_no_constant
)


def _refuse_nul(body: bytes) -> None:
    # PostgreSQL's text holds every character but this one. Looked for only where it can be: unescaped it is no JSON.
    if b"\\u0000" in body and any("\x00" in text for text in _strings(json.loads(body, parse_int=len))):
        raise ValidationFailed.at("", "strings must not contain NUL (\\u0000)")


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, part in value.items():
                yield name
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)


def _at_its_place(message: str, kind: Any) -> ValidationFailed:
    what, _, path = message.partition(" - at `")
    steps = [
        name or index
        for name, index in _PATH.findall(path.rstrip("`").removeprefix("key in ").removeprefix("$"))
    ]
    field = _FIELD.search(what)
    if field is not None:
        steps.append(field.group(1))
        said = "is required" if "missing required" in what else "is not a property of this request"
        return ValidationFailed.at(_pointer(steps), said)
    if what.startswith("Invalid enum value"):
        choices = _choices(msgspec.inspect.type_info(kind), steps)
        return ValidationFailed.at(_pointer(steps), f"must be one of {', '.join(choices)}")
    said = _QUOTED.sub(_in_json_terms, what.removeprefix("Expected "))
    return ValidationFailed.at(_pointer(steps), f"must be {said}")


def _in_json_terms(quoted: re.Match[str]) -> str:
    return " or ".join(_JSON_NAMES.get(name, name) for name in quoted.group(1).split(" | "))


def _choices(kind: msgspec.inspect.Type, steps: list[str]) -> list[str]:
    """The values of the enumeration at a place of a request."""
    match kind:
        case msgspec.inspect.EnumType():
            return [str(member.value) for member in kind.cls]
        case msgspec.inspect.Metadata():
            return _choices(kind.type, steps)
        case msgspec.inspect.UnionType():
            return [choice for part in kind.types for choice in _choices(part, steps)]
        case msgspec.inspect.ListType():
            return _choices(kind.item_type, steps[1:])
        case msgspec.inspect.StructType():
            fields = {field.encode_name: field.type for field in kind.fields}
            return _choices(fields[steps[0]], steps[1:]) if steps and steps[0] in fields else []
    return []


def _pointer(steps: list[str]) -> str:
    # Where a place is named by no index or key (`...`), the pointer ends at what holds it.
    return "".join(f"/{step}" for step in itertools.takewhile(lambda step: step != "...", steps))
