"""Where everything lies below the data directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files of one embedded server; `data_dir` is absolute and free of symbolic links."""

    data_dir: Path

    @property
    def pgdata(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def pid_file(self) -> Path:
        return self.pgdata / "postmaster.pid"

    @property
    def log(self) -> Path:
        return self.data_dir / "postgres.log"

    @property
    def start_lock(self) -> Path:
        return self.data_dir / "start.lock"

    @property
    def users_lock(self) -> Path:
        return self.data_dir / "users.lock"

    @property
    def server_lock(self) -> Path:
        return self.data_dir / "server.lock"

    @property
    def run_dir(self) -> Path:
        """The socket's directory, when its path is short and plain enough."""
        return self.data_dir / "run"

    @property
    def socket_note(self) -> Path:
        """Remembers the socket's directory when that is not `run_dir`."""
        return self.data_dir / "socket-directory"
