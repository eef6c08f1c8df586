"""Pictures that are shown with projects, bundles and accounts."""

from __future__ import annotations

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
