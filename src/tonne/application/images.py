"""Take in pictures: looked at, made anew without what else was in the file, and kept by their hash."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import warnings
from datetime import datetime

from PIL import Image, ImageOps, UnidentifiedImageError
from py_svg_hush import filter_svg

from tonne.application.callers import refuse_disabled_key
from tonne.application.drawings import check_drawing
from tonne.certificates.rendering import LogoNotPrintable, check_logo
from tonne.domain.audit import Actor, Change
from tonne.domain.certificate import Logo
from tonne.domain.errors import PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from tonne.domain.images import StoredImage
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection, Pool
from tonne.storage.images import keep_image

IMAGE_BYTES_MAX = 2 * 10**6
# More than any screen shows; a small file may claim to be much larger.
PIXELS_MAX = 25_000_000
_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# What certificates can print beside drawings.
_LOGO_FORMATS = ("PNG", "JPEG")


async def upload_image(pool: Pool, data: bytes, *, at: datetime, actor: Actor) -> StoredImage:
    """Keep a picture for the catalogue.

    Raises:
        TonneError: as `clean_image`, or the actor's key was disabled since.
    """
    image, clean = await asyncio.to_thread(clean_image, data)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        await store_image(connection, image, clean, at=at)
        change = Change(
            "image", image.path, "upload", after={"media_type": image.media_type, "bytes": len(clean)}
        )
        await record_changes(connection, actor, [change], at=at)
    return image


async def store_image(connection: Connection, image: StoredImage, data: bytes, *, at: datetime) -> None:
    """Keep a picture that was cleaned."""
    await keep_image(connection, image, data, at=at)


def clean_image(data: bytes, formats: tuple[str, ...] = tuple(_FORMATS)) -> tuple[StoredImage, bytes]:
    """Read a PNG, JPEG or WebP picture and write it anew: nothing of the file is kept but what is seen.

    Raises:
        PayloadTooLarge: it has over 2 MB.
        UnsupportedMediaType: it is none of these, or none of `formats`.
        ValidationFailed: it is damaged, or has over 25 million pixels.
    """
    if len(data) > IMAGE_BYTES_MAX:
        raise PayloadTooLarge(f"A picture has at most {IMAGE_BYTES_MAX // 10**6} MB.")
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=formats) as found,
        ):
            kind = found.format
            if found.width * found.height > PIXELS_MAX:
                raise ValidationFailed.at("", f"a picture has at most {PIXELS_MAX} pixels")
            found.load()
            picture = ImageOps.exif_transpose(found)
    except UnidentifiedImageError:
        wanted = "a picture as PNG, JPEG or WebP" if "WEBP" in formats else "a logo as PNG, JPEG or SVG"
        raise UnsupportedMediaType(f"Send {wanted}.") from None
    except Image.DecompressionBombError:
        raise ValidationFailed.at("", f"a picture has at most {PIXELS_MAX} pixels") from None
    # A damaged picture may break the decoder anywhere, and in any way.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ValidationFailed.at("", f"the picture is damaged: {error}") from None
    assert kind is not None
    written = io.BytesIO()
    if kind == "JPEG":
        picture.convert("RGB").save(written, "JPEG", quality=90, optimize=True)
    elif kind == "WEBP":
        picture.save(written, "WEBP", quality=90)
    else:
        _plain(picture).save(written, "PNG", optimize=True)
    clean = written.getvalue()
    return StoredImage(hashlib.sha256(clean).digest(), _FORMATS[kind]), clean


def clean_logo(data: bytes) -> tuple[StoredImage, bytes]:
    """As `clean_image`, for a logo: PNG, JPEG, or SVG of which only what draws is kept, and nothing that is elsewhere.

    Raises:
        TonneError: as `clean_image`, or the drawing can't be read, refers to other files, or can't be printed.
    """
    if len(data) > IMAGE_BYTES_MAX:
        raise PayloadTooLarge(f"A logo has at most {IMAGE_BYTES_MAX // 10**6} MB.")
    image, clean = _clean_drawing(data) if _looks_drawn(data) else clean_image(data, _LOGO_FORMATS)
    try:
        check_logo(Logo(image.media_type, clean))
    except LogoNotPrintable as error:
        raise ValidationFailed.at("", f"certificates can't print this logo: {error}") from None
    return image, clean


def _looks_drawn(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _clean_drawing(data: bytes) -> tuple[StoredImage, bytes]:
    check_drawing(data)
    try:
        clean = filter_svg(data, {"image": ["png", "jpeg"]})
    except ValueError as error:
        raise ValidationFailed.at("", f"the drawing can't be read: {error}") from None
    if b"<svg" not in clean:
        raise UnsupportedMediaType("Send a logo as PNG, JPEG or SVG.")
    if _REFERS_ELSEWHERE.search(clean):
        raise ValidationFailed.at("", "the drawing refers to other files: put what it needs into it")
    # Once more as it is drawn: cleaning may read what was unclear another way.
    check_drawing(clean)
    return StoredImage(hashlib.sha256(clean).digest(), "image/svg+xml"), clean


# What is left of addresses after cleaning; those within the drawing, and pictures inside it, are fine.
_REFERS_ELSEWHERE = re.compile(rb"""(?:href|src)\s*=\s*["'](?!#|data:image/)""")


def _plain(picture: Image.Image) -> Image.Image:
    """The picture without text chunks and the like, which the writer of PNG takes along."""
    plain = picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")
    plain.info = {}
    return plain
