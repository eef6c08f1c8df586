"""The server's main process: recognised by its pid file, asked whether it is ready, told to stop."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tonne.storage.embedded.children import ENVIRONMENT
from tonne.storage.embedded.errors import EmbeddedPostgresError
from tonne.storage.embedded.layout import Layout
from tonne.storage.embedded.locks import POLL_SECONDS
from tonne.storage.embedded.sockets import DATABASE, PORT, ROLE

STOP_SECONDS = 60.0
STOP_AT_ONCE_SECONDS = 15.0
ANSWER_SECONDS = 3

# A process's creation is known to 10 ms, the pid file's to a second, and the clock may have been set in between.
START_TIME_TOLERANCE_SECONDS = 10.0


@dataclass(frozen=True)
class PidFile:
    """What PostgreSQL writes into `postmaster.pid`, lines 1, 3 and 8."""

    pid: int
    started_at: float
    """Seconds since 1970, whole."""
    status: str
    """`starting`, `ready` or `stopping`; empty while the file is being written."""


@dataclass(frozen=True)
class Postmaster:
    """A live server on our data."""

    process: Any
    status: str

    @property
    def pid(self) -> int:
        return int(self.process.pid)


def read_pid_file(layout: Layout) -> PidFile | None:
    """The pid file, or nothing if there is none or it was cut short by a crash."""
    try:
        lines = layout.pid_file.read_text(errors="replace").splitlines()
        # A server in single-user mode writes its number with a minus sign.
        pid, started_at = abs(int(lines[0])), float(lines[2])
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None
    return PidFile(pid=pid, started_at=started_at, status=lines[7].strip() if len(lines) > 7 else "")


def find_postmaster(layout: Layout) -> Postmaster | None:
    """The server that runs on our data, if there is one."""
    found = read_pid_file(layout)
    if found is None:
        return None
    try:
        process = psutil.Process(found.pid)
        if not _has_ended(process) and _serves(process, layout.pgdata, started_at=found.started_at):
            return Postmaster(process, found.status)
    except psutil.NoSuchProcess:
        pass
    return None


def remove_stale_pid_file(layout: Layout) -> None:
    """Remove a pid file that would keep PostgreSQL from starting; the caller knows that no server runs.

    PostgreSQL gives up when the file is empty, or when any process of the account has the number in it. Otherwise it needs
    the file, to find out whether children of the killed server are left.
    """
    found = read_pid_file(layout)
    if found is None or psutil.pid_exists(found.pid):
        layout.pid_file.unlink(missing_ok=True)


def is_accepting(bin_dir: Path, socket_dir: Path) -> bool:
    """Whether the server takes connections, tried with one."""
    where = [f"--host={socket_dir}", f"--port={PORT}", f"--username={ROLE}", f"--dbname={DATABASE}"]
    command = [os.fspath(bin_dir / "pg_isready"), "--quiet", f"--timeout={ANSWER_SECONDS}", *where]
    try:
        answer = subprocess.run(command, env=ENVIRONMENT, check=False, timeout=2 * ANSWER_SECONDS)  # noqa: S603 - our program
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def shut_down(layout: Layout) -> None:
    """Stop the server, if one runs, and wait for its end.

    Sessions are cut off, their transactions rolled back, and everything is on disk: the next start needs no recovery. Only
    if that takes too long is the server told to drop everything, which is safe but leaves recovery to the next start.

    Raises:
        EmbeddedPostgresError: it does not stop.
    """
    postmaster = find_postmaster(layout)
    if postmaster is None:
        return
    for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, STOP_AT_ONCE_SECONDS)):
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.process.send_signal(how)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _has_ended(postmaster.process):
                return
            time.sleep(POLL_SECONDS)
    raise EmbeddedPostgresError(
        f"The embedded PostgreSQL (process {postmaster.pid}) does not stop; see {layout.log}. End it with "
        f"`kill -QUIT {postmaster.pid}`; nothing that was committed is lost."
    )


def _has_ended(process: Any) -> bool:
    """Whether a process is gone or a zombie; reaps a server that is our child."""
    try:
        if not process.is_running():
            return True
        if process.status() != psutil.STATUS_ZOMBIE:
            return False
        if process.name() == "postgres":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
    except psutil.NoSuchProcess:
        pass
    return True


def _serves(process: Any, pgdata: Path, *, started_at: float) -> bool:
    """Whether a process is a server on this data, and not one that has taken over the number of a dead server.

    Root in a container may be denied some of the facts about a process of another account, hence three ways to tell.
    """
    try:
        command = process.cmdline()
    except psutil.AccessDenied:
        return bool(abs(process.create_time() - started_at) < START_TIME_TOLERANCE_SECONDS)
    if not command or Path(command[0]).name != "postgres":
        return False
    try:
        return Path(process.cwd()).samefile(pgdata)
    except FileNotFoundError:
        return False
    except psutil.AccessDenied:
        return os.fspath(pgdata) in command
