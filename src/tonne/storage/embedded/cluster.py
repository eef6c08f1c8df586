"""The database cluster on disk: made once, whole or not at all."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tonne.storage.embedded.account import UNPRIVILEGED, Account, account_name
from tonne.storage.embedded.children import MAJOR_VERSION, Children
from tonne.storage.embedded.errors import EmbeddedPostgresError
from tonne.storage.embedded.layout import Layout
from tonne.storage.embedded.sockets import DATABASE, ROLE

PARTIAL_PREFIX = "postgres-partial-"
PROGRAM_TIMEOUT_SECONDS = 120.0

# The built-in C.UTF-8 sorts and folds the same on every system and in every version of the C library.
INITDB = [
    "initdb",
    f"--username={ROLE}",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    # Whoever reaches the socket is us: its directory is private and nothing listens on the network.
    "--auth=trust",
    "--no-instructions",
]

UNSAFE_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def settings(values: dict[str, str]) -> list[str]:
    """Server settings as arguments."""
    return [argument for name, value in values.items() for argument in ("-c", f"{name}={value}")]


def check_cluster(layout: Layout, account: Account) -> bool:
    """Whether there is a cluster, made by this account and this version of PostgreSQL.

    Raises:
        EmbeddedPostgresError: there is one that we cannot use.
    """
    pgdata = layout.pgdata
    try:
        owner = pgdata.stat().st_uid
    except FileNotFoundError:
        return False
    if owner == os.geteuid() and not any(pgdata.iterdir()):
        return False
    if owner != account.uid:
        raise EmbeddedPostgresError(
            f"The database in {pgdata} was made by {_maker(owner)}, but the server would now run as the account "
            f"{account.name!r}. Start Tonne as the same user as before, or choose another --data-dir."
        )
    try:
        version = (pgdata / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"{pgdata} is not empty, yet holds no PostgreSQL database. Move it away, or choose another --data-dir."
        ) from None
    if version != str(MAJOR_VERSION):
        raise EmbeddedPostgresError(
            f"The database in {pgdata} was made by PostgreSQL {version}, this is PostgreSQL {MAJOR_VERSION}. Dump it with "
            f"the version of Tonne that made it and load it into a new --data-dir, or run a PostgreSQL {version} server "
            "on it and use --database-url."
        )
    return True


def _maker(owner: int) -> str:
    name = account_name(owner)
    return "root" if name == f"{UNPRIVILEGED!r}" else f"the user {name}"


def create_cluster(layout: Layout, children: Children, *, server_lock: int, durable: bool) -> None:
    """Make the cluster and our database in it; the caller holds `start.lock` and `server_lock`.

    It grows beside its final place and is moved there when complete, so a crash leaves nothing that looks like a cluster.

    Raises:
        EmbeddedPostgresError: a program failed; the message quotes what it wrote.
    """
    remove_partial_clusters(layout)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=layout.data_dir))
    try:
        children.account.give(partial)
        initdb = [*INITDB, *([] if durable else ["--no-sync"]), f"--pgdata={partial}"]
        _run(children, initdb, partial, server_lock=server_lock)
        # Without exit_on_error a failing statement would leave exit code 0.
        single = ["postgres", "--single", "-D", os.fspath(partial), *settings({"exit_on_error": "on"})]
        single += [*settings({} if durable else UNSAFE_FAST), "postgres"]
        _run(children, single, partial, server_lock=server_lock, statement=f"CREATE DATABASE {DATABASE};\n")
        partial.rename(layout.pgdata)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if durable:
        _sync_directory(layout.data_dir)


def remove_partial_clusters(layout: Layout) -> None:
    """Remove what interrupted attempts left."""
    for leftover in layout.data_dir.glob(f"{PARTIAL_PREFIX}*"):
        shutil.rmtree(leftover)


def _run(children: Children, argv: list[str], pgdata: Path, *, server_lock: int, statement: str = "") -> None:
    process = children.spawn(argv, reach=[pgdata], server_lock=server_lock, stdin=subprocess.PIPE)
    with process:
        try:
            process.communicate(statement.encode(), timeout=PROGRAM_TIMEOUT_SECONDS)
        except BaseException as error:
            # initdb starts further programs, all in the session that `spawn` made.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise EmbeddedPostgresError(
                    f"Making the database took more than {PROGRAM_TIMEOUT_SECONDS:.0f} seconds; "
                    f"is the disk full or slow? The end of {children.log.path}:\n{children.log.tail()}"
                ) from None
            raise
    if process.returncode != 0:
        raise children.failure("Making the database failed", returncode=process.returncode)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
