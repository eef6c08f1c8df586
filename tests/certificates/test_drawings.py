"""Logos that are drawn: what they may hold, on both sides of every limit."""

from __future__ import annotations

import base64
import functools
import io

import pytest
from PIL import Image

from tonne.application.images import clean_image, clean_logo
from tonne.domain.errors import ValidationFailed


@functools.cache
def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("1" if kind == "PNG" else "L", (width, height)).save(written, kind)
    return written.getvalue()


def image(width: int, height: int, **attributes: str) -> str:
    """A picture in a drawing."""
    return element("data:image/png;base64," + base64.b64encode(picture(width, height)).decode(), **attributes)


def element(address: str, **attributes: str) -> str:
    named = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<image width="9" height="9" href="{address}"{named}/>'


def drawing(inner: str) -> bytes:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
        f'{inner}<rect width="3" height="3"/></svg>'
    ).encode()


def accepted(inner: str) -> bool:
    """Whether a drawing is a logo; what is not says that it is too large."""
    try:
        clean_logo(drawing(inner))
    except ValidationFailed as error:
        if "pixels in all" not in str(error):
            raise
        return False
    return True


def refusal(inner: str) -> str:
    with pytest.raises(ValidationFailed) as refused:
        clean_logo(drawing(inner))
    return str(refused.value)


def test_pictures_have_four_million_pixels_at_most() -> None:
    assert accepted(image(2000, 2000))
    assert not accepted(image(2001, 2000))
    assert accepted(image(2000, 1000) + image(1000, 2000))
    assert not accepted(image(2000, 1000) + image(1000, 2000) + image(1, 1))


@pytest.mark.parametrize("side", [10_000, 14_000])
def test_pictures_that_no_reader_takes_are_too_large(side: int) -> None:
    assert not accepted(image(side, side))
    with pytest.raises(ValidationFailed, match="at most 25000000 pixels"):
        clean_image(picture(side, side))


def test_addresses_may_be_percent_encoded_and_broken_into_lines() -> None:
    text = base64.b64encode(picture(305, 7, "JPEG")).decode()
    assert {"+", "/", "="} <= set(text)
    encoded = text.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
    for sent in (text, encoded, "\n ".join(encoded[n : n + 60] for n in range(0, len(encoded), 60))):
        assert accepted(element(f"data:image/jpeg;base64,{sent}"))


def test_a_picture_that_is_larger_once_it_is_decoded_is_refused() -> None:
    """With the percent-encoded signs taken as they stand, a comment hides the large picture behind the small one."""
    large, small = picture(9000, 9000, "JPEG"), picture(9, 9, "JPEG")
    filling = bytes(900)
    tail = small[2:] + bytes(900 - len(small) + 2)
    comment = b"\xff\xd8\xff\xfe" + (len(filling + tail) + 2).to_bytes(2, "big")
    text = base64.b64encode(comment).decode() + "%41" * 1200 + base64.b64encode(tail + large[2:]).decode()
    assert Image.open(io.BytesIO(base64.b64decode(text))).size == (9, 9)
    assert not accepted(element(f"data:image/jpeg;base64,{text}"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("data:image/png;base64,iVBORw0K", "no PNG or JPEG"),
        ("data:image/png;base64,iVBO*Rw0K", "no PNG or JPEG"),
        ("data:image/png;base64," + base64.b64encode(picture(9, 9)).decode() + "#x", "no PNG or JPEG"),
        ("data:image/png,%89PNG", "not in base64"),
        ("data:image/png; base64," + base64.b64encode(picture(9, 9)).decode(), "not in base64"),
        ("DATA:image/png;base64," + base64.b64encode(picture(9, 9)).decode(), "refers to other files"),
    ],
)
def test_addresses_that_may_be_read_in_two_ways_are_refused(address: str, why: str) -> None:
    assert why in refusal(element(address))


@pytest.mark.parametrize(
    "again",
    [
        '<use href="#x"/>',
        '<rect mask="url(#x)"/>',
        "<rect mask='url( \"#x\" )'/>",
        "<rect mask='url(\" #x\")'/>",
        '<rect style="clip-path:URL(#x)"/>',
    ],
)
@pytest.mark.parametrize(
    "holder", ['<mask id="x">{}</mask>', '<g id="x"><g id="y">{}</g></g>', '<pattern id="x">{}</pattern>']
)
def test_a_picture_counts_as_often_as_it_is_drawn(again: str, holder: str) -> None:
    assert accepted(holder.format(image(1000, 1000)) + again * 3)
    assert not accepted(holder.format(image(1000, 1000)) + again * 4)
    assert not accepted(again * 4 + holder.format(image(1000, 1000)))


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("a'b", 'mask="url(#a\'b)"'),
        ("a'b", "mask='url(\"#a&apos;b\")'"),
        ("a)b", "mask='url(\"#a)b\")'"),
        ("x&#10;", 'mask="url(#x&#10;)"'),
    ],
)
def test_names_of_any_letters_are_found(name: str, again: str) -> None:
    holder = f'<mask id="{name}">{image(1000, 1000)}</mask>'
    assert accepted(holder)
    assert not accepted(holder + f"<rect {again}/>" * 4)


def test_a_picture_that_is_named_itself_counts_again_and_others_do_not() -> None:
    assert accepted(image(1000, 2000, id="x") + '<use href="#x"/>')
    assert not accepted(image(1000, 2000, id="x") + '<use href="#x"/>' * 2)
    gradient = '<linearGradient id="g"><stop offset="0"/></linearGradient>'
    assert accepted(image(2000, 2000) + gradient + '<rect fill="url(#g)"/><use href="#r"/><rect id="r"/>')
    # What has a gradient's id is none.
    assert not accepted(gradient + f'<g id="g">{image(2000, 2000)}</g><use href="#g"/>')


@pytest.mark.parametrize("kind", ["marker", "filter"])
def test_what_has_no_bounds_is_refused(kind: str) -> None:
    assert f"must not have <{kind}>" in refusal(f'<{kind} id="m"/>')


@pytest.mark.parametrize(
    "rule", ["rect{mask:url(#m)}", "rect{mask:url(\n#m)}", "rect{mask:u<!-- -->rl(<![CDATA[#m)}]]>"]
)
def test_a_style_sheet_names_gradients_only_however_it_is_written(rule: str) -> None:
    assert "repeats #m" in refusal(f'<style>{rule}</style><mask id="m"><rect/></mask>')
    assert accepted(
        f'<style>{rule.replace("}", "")}</style><linearGradient id="m"><stop offset="0"/></linearGradient>'
    )
