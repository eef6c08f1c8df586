"""File locks that the kernel releases when their holder dies."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tonne.storage.embedded.errors import EmbeddedPostgresError

if sys.platform != "win32":
    import fcntl

POLL_SECONDS = 0.02


def open_lock(path: Path) -> int:
    """Open a lock file, creating it; children started by exec do not inherit the descriptor unless it is passed on."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if that is possible at once."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release the lock and close the descriptor.

    Closing alone is not enough: a child that another thread is just forking holds a copy of the descriptor until it
    execs, and the lock with it.
    """
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def lock_within(path: Path, *, timeout_seconds: float, shared: bool = False) -> int:
    """Take the lock at `path`, waiting for its holder; returns the descriptor.

    Raises:
        EmbeddedPostgresError: it was not free in time.
    """
    descriptor = open_lock(path)
    try:
        _wait_for(descriptor, path, timeout_seconds=timeout_seconds, shared=shared)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for(descriptor: int, path: Path, *, timeout_seconds: float, shared: bool) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not try_lock(descriptor, shared=shared):
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Another process has held {path} for more than {timeout_seconds:.0f} seconds; "
                "end it, or wait until it is done, and start again."
            )
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock at `path` exclusively for the length of a `with` block."""
    descriptor = lock_within(path, timeout_seconds=timeout_seconds)
    try:
        yield
    finally:
        unlock(descriptor)
