"""Secrets at rest: encrypted with a key that is not in the database (Fernet: AES-128-CBC and HMAC-SHA256)."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_FILE_MODE = 0o600
_OWN_FILE = "secrets.key"


class KeyNotUsable(Exception):
    """The key for secrets can't be read, or is none; the message says what would be right."""


class NotSealedWithThisKey(Exception):
    """A secret was encrypted with another key."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Encrypts with the first of its keys and decrypts with any."""

    fernet: MultiFernet

    @classmethod
    def of(cls, text: str) -> Seal:
        """From one or more keys, separated by commas or whitespace, the one to encrypt with first.

        Raises:
            KeyNotUsable: there is none, or one is not base64 of 32 bytes.
        """
        try:
            keys = [Fernet(key) for key in text.replace(",", " ").split()]
            return cls(MultiFernet(keys))
        except ValueError:
            msg = (
                "each key for secrets must be URL-safe base64 of 32 random bytes: "
                'make one with `python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"`'
            )
            raise KeyNotUsable(msg) from None

    @classmethod
    def in_file(cls, path: Path, *, make: bool = False) -> Seal:
        """From a file; with `make`, one with a new key where there is none.

        Raises:
            KeyNotUsable: it can't be read or holds no key.
        """
        if make and not path.exists():
            _make_key(path)
        try:
            return cls.of(path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError) as error:
            msg = f"the key for secrets in {path} can't be read: {error}"
            raise KeyNotUsable(msg) from None

    @classmethod
    def configured(cls, *, key: str | None, file: Path | None, folder: Path) -> Seal:
        """With the key that is given, or the one in a file, or one of our own in a folder, made on first use.

        Raises:
            KeyNotUsable: it can't be read, or is none.
        """
        if key is not None:
            return cls.of(key)
        if file is not None:
            return cls.in_file(file)
        return cls.in_file(folder / _OWN_FILE, make=True)

    def seal(self, secret: str) -> bytes:
        """Encrypt."""
        return self.fernet.encrypt(secret.encode())

    def can_open(self, sealed: bytes) -> bool:
        """Whether it was encrypted with one of these keys."""
        try:
            self.open(sealed)
        except NotSealedWithThisKey:
            return False
        return True

    def open(self, sealed: bytes) -> str:
        """Decrypt.

        Raises:
            NotSealedWithThisKey: it was encrypted with a key that is not here.
        """
        try:
            return self.fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise NotSealedWithThisKey from None


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all, and where two make one at once both read the first.
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
