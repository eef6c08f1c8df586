"""The account that the server runs as: our own, or `nobody` for root, because PostgreSQL refuses to run as root."""

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tonne.storage.embedded.errors import EmbeddedPostgresError

if sys.platform != "win32":
    import pwd

LAUNCHER = Path(__file__).with_name("launcher.py")

# Present on every Unix, and owns nothing that matters.
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int
    name: str

    @property
    def data_dir_mode(self) -> int:
        """The mode of a new data directory: passable, not readable, where the server is not ours but must get through.

        Without it every server started by root would need a capability.
        """
        return 0o700 if self.uid == os.geteuid() else 0o711

    def command(self, argv: Sequence[str], *, reach: Sequence[Path]) -> list[str]:
        """The command line that runs `argv` as this account, able to reach the paths in `reach`."""
        if self.uid == os.geteuid():
            return list(argv)
        paths = [os.fspath(path) for path in reach]
        interpreter = [sys.executable, "-I", "-S", os.fspath(LAUNCHER)]
        return [*interpreter, str(self.uid), str(self.gid), *paths, "--", *argv]

    def give(self, path: Path) -> None:
        """Make this account the owner of a directory that we have just made."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def owns_privately(self, path: Path) -> bool:
        """Whether `path` is a real directory of this account that no other account can enter."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.uid and not found.st_mode & 0o077


def server_account() -> Account:
    """The account to run the server as.

    Raises:
        EmbeddedPostgresError: this account has no name, which PostgreSQL insists on.
    """
    uid = os.geteuid()
    try:
        entry = pwd.getpwnam(UNPRIVILEGED) if uid == 0 else pwd.getpwuid(uid)
    except KeyError:
        missing = f"account named {UNPRIVILEGED!r}" if uid == 0 else f"name for the account with number {uid}"
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL needs a {missing}, but the system's list of accounts (/etc/passwd) has none. "
            "Add one, run as another ordinary user, or use a server of your own with --database-url."
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name)


def account_name(uid: int) -> str:
    """How to speak of the owner of a file."""
    try:
        return f"{pwd.getpwuid(uid).pw_name!r}"
    except KeyError:
        return f"number {uid}"
