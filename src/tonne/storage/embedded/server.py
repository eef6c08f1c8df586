"""The embedded server's life: started by the first process that needs it, shared, stopped by the last."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tonne.storage.embedded.account import Account, account_name, server_account
from tonne.storage.embedded.children import Children, Log, postgres_bin_dir
from tonne.storage.embedded.cluster import UNSAFE_FAST, check_cluster, create_cluster, settings
from tonne.storage.embedded.errors import EmbeddedPostgresError, StillStartingError
from tonne.storage.embedded.layout import Layout
from tonne.storage.embedded.locks import POLL_SECONDS, lock_within, locked, open_lock, try_lock, unlock
from tonne.storage.embedded.postmaster import (
    Postmaster,
    find_postmaster,
    is_accepting,
    remove_stale_pid_file,
    shut_down,
)
from tonne.storage.embedded.sockets import (
    prepare_socket_dir,
    remove_socket_dir,
    remove_stale_sockets,
    socket_url,
)

START_SECONDS = 60.0
# Longer than anything that a process does while it holds `start.lock`.
START_LOCK_SECONDS = 400.0
USERS_LOCK_SECONDS = 10.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "tonne",
    "shared_buffers": "128MB",
    # A process of the service opens up to 22, and there may be as many processes as cores.
    "max_connections": "500",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server of our own below a data directory, shared by all processes that use the directory.

    Not for use by several threads at once. Waits are blocking and bounded.

    Args:
        data_dir: Created, with mode 0700 (0711 by root), if it does not exist; not to be moved or removed while in use.
        durable: Whether a commit survives a power cut. Only tests go without; the process that starts the server decides.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        if sys.platform == "win32":
            raise EmbeddedPostgresError(
                "The embedded PostgreSQL runs on Linux and macOS only; on Windows, use a server of your own "
                "with --database-url, or WSL."
            )
        if "\n" in os.fspath(data_dir):
            # PostgreSQL writes the path as one line of its pid file.
            raise EmbeddedPostgresError(
                "The path of the data directory has a line break; choose another --data-dir."
            )
        self._layout = Layout(Path(data_dir).resolve())
        self._durable = durable
        self._socket_dir: Path | None = None
        self._users_lock: int | None = None
        self._joined_in_pid = 0

    @property
    def url(self) -> str:
        """Where to connect, once started: a DSN for asyncpg and other libpq-like clients."""
        assert self._socket_dir is not None, "start the server first"
        return socket_url(self._socket_dir)

    @property
    def server_pid(self) -> int | None:
        """The process number of the server that runs on the data directory, whoever started it."""
        postmaster = find_postmaster(self._layout)
        return None if postmaster is None else postmaster.pid

    def is_running(self) -> bool:
        """Whether a server runs on the data directory, whoever started it."""
        return self.server_pid is not None

    def start(self) -> None:
        """Join the server of the data directory, making and starting it first if need be; again, if it has died since.

        Raises:
            EmbeddedPostgresError: it cannot be used; the message says what to do.
        """
        data_dir = self._layout.data_dir
        try:
            account = server_account()
            data_dir.mkdir(mode=account.data_dir_mode, parents=True, exist_ok=True)
            # Looked at before anything is written, so that a directory of another user stays as it is.
            check_cluster(self._layout, account)
            with locked(self._layout.start_lock, timeout_seconds=START_LOCK_SECONDS):
                self._join(account)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Cannot use the data directory {data_dir}{_whose(data_dir)}: {error}. You are the account "
                f"{account_name(os.geteuid())}. Start Tonne as the user that made it, or choose another --data-dir."
            ) from error

    def stop(self) -> None:
        """Leave the server; the last process to leave stops it. Does nothing if not started.

        Raises:
            EmbeddedPostgresError: it does not stop, or its directory is gone.
        """
        if self._users_lock is None:
            return
        if self._joined_in_pid != os.getpid():
            # A forked child shares its parent's lock, so it can neither release it nor judge who is the last.
            os.close(self._users_lock)
            self._users_lock = None
            return
        try:
            with locked(self._layout.start_lock, timeout_seconds=START_LOCK_SECONDS):
                self._leave()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Cannot leave the server of {self._layout.data_dir}: {error}. Was the directory moved or removed?"
            ) from error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join(self, account: Account) -> None:
        """Become a user of a running server; the caller holds `start.lock`."""
        if self._joined_in_pid != os.getpid():
            self._take_users_lock()
        assert self._users_lock is not None
        try:
            children = Children(postgres_bin_dir(), account, Log(self._layout.log))
            self._ensure_cluster(children)
            self._socket_dir = prepare_socket_dir(self._layout, account)
            self._ensure_running(children)
        except StillStartingError:
            # Stopping it now would make it recover from the beginning the next time.
            self._drop_users_lock()
            raise
        except BaseException:
            self._leave()
            raise

    def _take_users_lock(self) -> None:
        if self._users_lock is not None:
            # A forked child's copy of its parent's lock.
            os.close(self._users_lock)
        self._users_lock = lock_within(
            self._layout.users_lock, timeout_seconds=USERS_LOCK_SECONDS, shared=True
        )
        self._joined_in_pid = os.getpid()

    def _drop_users_lock(self) -> None:
        assert self._users_lock is not None
        unlock(self._users_lock)
        self._users_lock = None
        self._joined_in_pid = 0

    def _leave(self) -> None:
        """Stop being a user, and stop the server if nobody else is one; the caller holds `start.lock`."""
        self._drop_users_lock()
        users = open_lock(self._layout.users_lock)
        try:
            if try_lock(users):
                shut_down(self._layout)
                remove_socket_dir(self._layout, server_account())
        finally:
            unlock(users)

    def _ensure_cluster(self, children: Children) -> None:
        """Make the database on first use."""
        if check_cluster(self._layout, children.account):
            return
        # An interrupted attempt's programs may still be at work.
        server_lock = lock_within(self._layout.server_lock, timeout_seconds=START_SECONDS)
        try:
            create_cluster(self._layout, children, server_lock=server_lock, durable=self._durable)
        finally:
            os.close(server_lock)

    def _ensure_running(self, children: Children) -> None:
        """Wait for a server that accepts connections, starting one as soon as none is there.

        A server that is still starting up or shutting down, and children that outlive a killed server, are waited for.
        """
        assert self._socket_dir is not None
        process: subprocess.Popen[bytes] | None = None
        postmaster: Postmaster | None = None
        deadline = time.monotonic() + START_SECONDS
        try:
            while time.monotonic() < deadline:
                if process is not None and process.poll() is not None:
                    # Children of a killed server may still use its memory: they end as soon as they notice.
                    if "shared memory block" not in children.log.tail():
                        raise children.failure(
                            "The embedded PostgreSQL did not start", returncode=process.returncode
                        )
                    process = None
                postmaster = find_postmaster(self._layout)
                if postmaster is None and process is None:
                    process = self._start_server(children)
                elif postmaster is not None and self._answers(postmaster, children):
                    return
                time.sleep(POLL_SECONDS)
        finally:
            if process is not None and process.returncode is None:
                # It outlives us on purpose, which subprocess would warn about; whoever finds it ended reaps it.
                process.returncode = 0
        raise self._not_ready(postmaster)

    def _start_server(self, children: Children) -> "subprocess.Popen[bytes] | None":
        """Start the server; nothing if processes of an earlier one are still at work."""
        assert self._socket_dir is not None
        server_lock = open_lock(self._layout.server_lock)
        try:
            if not try_lock(server_lock):
                return None
            remove_stale_pid_file(self._layout)
            remove_stale_sockets(self._socket_dir)
            values = SETTINGS | {"unix_socket_directories": os.fspath(self._socket_dir)}
            values |= {} if self._durable else UNSAFE_FAST
            return children.spawn(
                ["postgres", "-D", os.fspath(self._layout.pgdata), *settings(values)],
                reach=[self._layout.pgdata, self._socket_dir],
                server_lock=server_lock,
            )
        finally:
            # Only closed: releasing the lock would release it for the server too.
            os.close(server_lock)

    def _answers(self, postmaster: Postmaster, children: Children) -> bool:
        assert self._socket_dir is not None
        # The pid file says so in no time; the connection is the proof.
        return postmaster.status == "ready" and is_accepting(children.bin_dir, self._socket_dir)

    def _not_ready(self, postmaster: Postmaster | None) -> EmbeddedPostgresError:
        if postmaster is None:
            return EmbeddedPostgresError(
                f"Processes of an earlier server, or a server in another container, still work on {self._layout.pgdata} after "
                f"{START_SECONDS:.0f} seconds. End them and start again."
            )
        if postmaster.status == "ready":
            return EmbeddedPostgresError(
                f"The embedded PostgreSQL (process {postmaster.pid}) did not answer in {self._socket_dir}. Unless other "
                f"processes use it, it has been told to stop: start again. Its log is {self._layout.log}."
            )
        return StillStartingError(
            f"The embedded PostgreSQL (process {postmaster.pid}) is still {postmaster.status} after {START_SECONDS:.0f} seconds "
            f"and goes on. Start again in a while, or see {self._layout.log}."
        )


def _whose(path: Path) -> str:
    try:
        return f", which belongs to the account {account_name(path.stat().st_uid)}"
    except OSError:
        return ""
