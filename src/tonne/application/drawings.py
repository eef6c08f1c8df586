"""Refuse drawings (SVG) that take long to read or to print, before anything else looks at them."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections import Counter
from urllib.parse import unquote_to_bytes
from xml.parsers.expat import ExpatError, ParserCreate

from PIL import Image

from tonne.domain.errors import ValidationFailed

DEPTH_MAX = 64
ELEMENTS_MAX = 5_000
REFERENCES_MAX = 200
# Of all pictures in a drawing together, each as often as it is drawn.
PIXELS_MAX = 4_000_000
# Their cost nothing bounds: effects, and what is drawn at every corner of a path.
_REFUSED = frozenset({"filter", "marker"})
# Cheap to name from anywhere, unlike patterns, masks, clips and what is used.
_GRADIENTS = frozenset({"linearGradient", "radialGradient"})
# As whoever draws it reads it: a quoted name ends with its quote, another one with a space or a bracket.
_REFERENCE = re.compile(r"""url\(\s*(?:"\s*#([^"]*)|'\s*#([^']*)|#([^) ]*))""", re.IGNORECASE)
_SPACE = re.compile(rb"[\t\n\f\r ]")


def check_drawing(data: bytes) -> None:
    """Look through a drawing once, in time that its size bounds.

    Raises:
        ValidationFailed: it is no XML, declares entities, nests deeper than 64, has over 5,000 elements or 200 references,
            draws over 4 million pixels of pictures (one that is drawn twice counts twice), has effects (`filter`) or
            markers, or draws again what itself draws something again (for style sheets: any but gradients).
    """
    reader = _Reader()
    parser = ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = reader.entity
    try:
        parser.Parse(data, True)
    except ExpatError as error:
        raise ValidationFailed.at("", f"the drawing can't be read: {error}") from None
    repeated = reader.repeated()
    if repeated:
        raise ValidationFailed.at(
            "", f"the drawing repeats #{min(repeated)}, which may repeat something itself: draw it out"
        )
    _check_pixels(reader.pixels())


def _check_pixels(pixels: int) -> None:
    if pixels > PIXELS_MAX:
        raise ValidationFailed.at(
            "", f"the pictures in a drawing may have {PIXELS_MAX} pixels in all, each as often as it is drawn"
        )


class _Reader:
    def __init__(self) -> None:
        self.elements = 0
        self.references = 0
        # Pixels of each picture, and the ids around it.
        self.pictures: list[tuple[int, set[str]]] = []
        # Kinds and ids of the elements around the one that is being read.
        self.open: list[tuple[str, set[str]]] = []
        self.gradients: set[str] = set()
        # Ids of all that is no gradient. An id may be there twice.
        self.others: set[str] = set()
        # What is named, and the ids around the place where it is.
        self.named: list[tuple[str, set[str]]] = []
        # Style sheets, whose rules may apply anywhere, in the pieces they are read in.
        self.styles: list[str] = []

    def repeated(self) -> set[str]:
        """Ids that are named, and hold what names something: each level multiplies what is drawn."""
        drawn = self._drawn()
        holding = {each for _, around in drawn for each in around}
        styled = set(_references("".join(self.styles))) - self._cheap
        return ({target for target, _ in drawn} & holding) | styled

    def pixels(self) -> int:
        """Pixels of all pictures, each as often as it is drawn: where it stands, and wherever it or what holds it is named."""
        times = Counter(target for target, _ in self._drawn())
        return sum(count * (1 + sum(times[each] for each in around)) for count, around in self.pictures)

    def _drawn(self) -> list[tuple[str, set[str]]]:
        cheap = self._cheap
        return [(target, around) for target, around in self.named if target not in cheap]

    @property
    def _cheap(self) -> set[str]:
        return self.gradients - self.others

    @property
    def _around(self) -> set[str]:
        return {each for _, ids in self.open for each in ids}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = _local(name)
        self.elements += 1
        ids = {value.strip() for key, value in attributes.items() if _local(key) == "id"}
        self.open.append((kind, ids))
        (self.gradients if kind in _GRADIENTS else self.others).update(ids)
        if kind in _REFUSED:
            raise ValidationFailed.at("", f"a drawing must not have <{kind}>")
        if len(self.open) > DEPTH_MAX:
            raise ValidationFailed.at("", f"a drawing may nest elements {DEPTH_MAX} deep")
        if self.elements > ELEMENTS_MAX:
            raise ValidationFailed.at("", f"a drawing may have {ELEMENTS_MAX} elements")
        for key, value in attributes.items():
            if kind == "image" and _local(key) == "href":
                self._picture(value)
            if kind == "use" and _local(key) == "href":
                self._refer(value.strip().removeprefix("#"))
            for target in _references(value):
                self._refer(target)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        if self.open and self.open[-1][0] == "style":
            self.styles.append(text)

    def entity(self, *_: object) -> None:
        raise ValidationFailed.at("", "a drawing must not declare entities")

    def _picture(self, address: str) -> None:
        head, comma, text = address.partition(",")
        if not comma or not head.strip().lower().startswith("data:"):
            # Those elsewhere are refused after cleaning.
            return
        if not head.lower().endswith(";base64"):
            raise ValidationFailed.at("", "a picture in the drawing is not in base64")
        try:
            # As whoever draws it reads it.
            data = base64.b64decode(_SPACE.sub(b"", unquote_to_bytes(text)), validate=True)
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as found,
            ):
                pixels = found.width * found.height
        except Image.DecompressionBombError:
            pixels = PIXELS_MAX + 1
        except (OSError, SyntaxError, ValueError):
            raise ValidationFailed.at("", "a picture in the drawing is no PNG or JPEG") from None
        _check_pixels(pixels)
        self.pictures.append((pixels, self._around))

    def _refer(self, target: str) -> None:
        self.references += 1
        if self.references > REFERENCES_MAX:
            raise ValidationFailed.at("", f"a drawing may have {REFERENCES_MAX} references")
        self.named.append((target, self._around))


def _references(text: str) -> list[str]:
    return ["".join(found).strip() for found in _REFERENCE.findall(text)]


def _local(name: str) -> str:
    """A name without the prefix of its namespace."""
    return name.rpartition(":")[2]
