"""Refuse drawings (SVG) that take long to read or to print, before anything else looks at them."""

from __future__ import annotations

import base64
import io
import re
from xml.parsers.expat import ExpatError, ParserCreate

from PIL import Image

from tonne.domain.errors import ValidationFailed

DEPTH_MAX = 64
ELEMENTS_MAX = 5_000
REFERENCES_MAX = 200
# Of all pictures in a drawing together.
PIXELS_MAX = 4_000_000
# Effects, whose cost nothing bounds.
_REFUSED = frozenset({"filter"})
# Cheap to name from anywhere, unlike patterns, masks, clips, markers and what is used.
_GRADIENTS = frozenset({"linearGradient", "radialGradient"})
_REFERENCE = re.compile(r"url\(\s*[\"']?#([^)\"']+)")


def check_drawing(data: bytes) -> None:
    """Look through a drawing once, in time that its size bounds.

    Raises:
        ValidationFailed: it is no XML, declares entities, nests deeper than 64, has over 5,000 elements, 200 references or 4 million pixels,
            has effects (`filter`), or draws again what itself draws something again (for style sheets: any but gradients).
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


class _Reader:
    def __init__(self) -> None:
        self.elements = 0
        self.references = 0
        self.pixels = 0
        # Kinds and ids of the elements around the one that is being read.
        self.open: list[tuple[str, str | None]] = []
        self.gradients: set[str | None] = set()
        # What is named, and the ids around the place where it is.
        self.named: list[tuple[str, set[str]]] = []
        # What style sheets name, whose rules may apply anywhere.
        self.styled: set[str] = set()

    def repeated(self) -> set[str]:
        """Ids that are named, and hold what names something: each level multiplies what is drawn."""
        drawn = [(target, around) for target, around in self.named if target not in self.gradients]
        holding = {each for _, around in drawn for each in around}
        return ({target for target, _ in drawn} & holding) | (self.styled - self.gradients)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        self.elements += 1
        self.open.append((kind, attributes.get("id")))
        if kind in _GRADIENTS:
            self.gradients.add(attributes.get("id"))
        if kind in _REFUSED:
            raise ValidationFailed.at("", f"a drawing must not have <{kind}>")
        if len(self.open) > DEPTH_MAX:
            raise ValidationFailed.at("", f"a drawing may nest elements {DEPTH_MAX} deep")
        if self.elements > ELEMENTS_MAX:
            raise ValidationFailed.at("", f"a drawing may have {ELEMENTS_MAX} elements")
        for key, value in attributes.items():
            if kind == "image" and key.rpartition(":")[2] == "href":
                self._picture(value)
            if kind == "use" and key.rpartition(":")[2] == "href":
                self._refer(value.strip().removeprefix("#"))
            for target in _REFERENCE.findall(value):
                self._refer(target)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        if self.open and self.open[-1][0] == "style":
            self.styled.update(_REFERENCE.findall(text))

    def entity(self, *_: object) -> None:
        raise ValidationFailed.at("", "a drawing must not declare entities")

    def _picture(self, address: str) -> None:
        head, comma, text = address.partition(",")
        if not comma or not head.strip().startswith("data:"):
            # Those elsewhere are refused after cleaning.
            return
        try:
            with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG", "JPEG"]) as found:
                self.pixels += found.width * found.height
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise ValidationFailed.at("", "a picture in the drawing is no PNG or JPEG") from None
        if self.pixels > PIXELS_MAX:
            raise ValidationFailed.at("", f"the pictures in a drawing may have {PIXELS_MAX} pixels in all")

    def _refer(self, target: str) -> None:
        self.references += 1
        if self.references > REFERENCES_MAX:
            raise ValidationFailed.at("", f"a drawing may have {REFERENCES_MAX} references")
        self.named.append((target, {each for _, each in self.open if each is not None}))
