"""Pictures that are shown with projects, bundles and accounts."""

from __future__ import annotations

import re
from dataclasses import dataclass

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/svg+xml": "svg"}


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture by the SHA-256 of its bytes: whoever knows the address gets these bytes, or none."""

    sha256: bytes
    media_type: str

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/images/{self.sha256.hex()}.{EXTENSIONS[self.media_type]}"


def image_digest(address: str | None) -> bytes | None:
    """The SHA-256 in the address of a picture of ours; None where it is none."""
    found = None if address is None else _ADDRESS.search(address)
    return None if found is None else bytes.fromhex(found[1])


_ADDRESS = re.compile(r"/images/([0-9a-f]{64})\.[a-z]{3,4}$")
