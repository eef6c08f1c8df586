"""The directory of the server's Unix socket: private, and with a path that is short and plain enough."""

import contextlib
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

from tonne.storage.embedded.account import Account, account_name
from tonne.storage.embedded.errors import EmbeddedPostgresError
from tonne.storage.embedded.layout import Layout

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
ROLE = "tonne"
DATABASE = "tonne"

# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
SOCKET_PATH_BYTES_MAX = 103

# Server and clients read a list of directories, separated by commas, with quotes and escapes: these need none.
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+-]*")


def socket_url(directory: Path) -> str:
    """The address of our database behind the socket in `directory`."""
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(os.fspath(directory), safe='/')}&port={PORT}"


def prepare_socket_dir(layout: Layout, account: Account) -> Path:
    """The socket's directory, made if need be: `run` in the data directory, or else one in the system's temporary directory.

    The caller holds `start.lock`.

    Raises:
        EmbeddedPostgresError: no directory can be had.
    """
    if _fits(layout.run_dir):
        return _prepare_run_dir(layout, account)
    remembered = _remembered(layout)
    # Whoever emptied the temporary directory could have put something else at a known path, a symbolic link for instance.
    if remembered is not None and _fits(remembered) and account.owns_privately(remembered):
        return remembered
    made = _make_temporary(account)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(layout.socket_note, flags, 0o600), "wb") as note:
        note.write(os.fsencode(made))
    return made


def remove_socket_dir(layout: Layout, account: Account) -> None:
    """Leave nothing in the system's temporary directory; the server has stopped."""
    remembered = _remembered(layout)
    if remembered is not None and _fits(remembered) and account.owns_privately(remembered):
        # Only what we know of, then the directory if that leaves it empty.
        remove_stale_sockets(remembered)
        with contextlib.suppress(OSError):
            remembered.rmdir()
    layout.socket_note.unlink(missing_ok=True)


def remove_stale_sockets(directory: Path) -> None:
    """Remove what a killed server left; PostgreSQL trusts the process number in it, which may be another's by now."""
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        (directory / name).unlink(missing_ok=True)


def _fits(directory: Path) -> bool:
    path = os.fspath(directory / SOCKET_NAME)
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX and PLAIN_PATH.fullmatch(path) is not None


def _prepare_run_dir(layout: Layout, account: Account) -> Path:
    run_dir = layout.run_dir
    run_dir.mkdir(mode=0o700, exist_ok=True)
    if run_dir.lstat().st_uid == os.geteuid():
        account.give(run_dir)
    if not account.owns_privately(run_dir):
        owner = account_name(run_dir.lstat().st_uid)
        raise EmbeddedPostgresError(
            f"{run_dir} must be a directory of the account {account.name!r} with mode 0700, but belongs to the account "
            f"{owner} or is open to others. Remove it and start again."
        )
    return run_dir


def _remembered(layout: Layout) -> Path | None:
    try:
        return Path(os.fsdecode(layout.socket_note.read_bytes()))
    except FileNotFoundError:
        return None


def _make_temporary(account: Account) -> Path:
    for base in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - made private below
        try:
            made = Path(tempfile.mkdtemp(prefix="tonne-", dir=base)).resolve()
        except OSError:
            continue
        if _fits(made):
            account.give(made)
            return made
        made.rmdir()
    raise EmbeddedPostgresError(
        "The path of the data directory is too long or has characters that a socket's path cannot have, and no temporary "
        "directory can be had instead. Choose another --data-dir, or set TMPDIR to a writable directory with a short path."
    )
