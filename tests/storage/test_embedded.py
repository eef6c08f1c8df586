"""The embedded server: real PostgreSQL processes, really killed."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from tonne.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError, postgres_bin_dir
from tonne.storage.embedded.account import server_account
from tonne.storage.embedded.children import LOG_BYTES_MAX, Log
from tonne.storage.embedded.locks import open_lock, try_lock

WAIT_SECONDS = 30.0

# PR_CAPBSET_DROP (24) withholds a capability from all programs that are started from then on.
USER_PROCESS = """
import ctypes, os, sys
from pathlib import Path
from tonne.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
data_dir, uid, *withheld = sys.argv[1:]
for capability in withheld:
    ctypes.CDLL(None).prctl(24, int(capability), 0, 0, 0)
if uid:
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
try:
    with EmbeddedPostgres(Path(data_dir), durable=False) as server:
        print(server.server_pid, flush=True)
        sys.stdin.readline()
except EmbeddedPostgresError as error:
    print(error, flush=True)
"""

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

only_as_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs root on Linux")

LONG = "/".join(["x" * 120, "y" * 120, "z" * 120])
ODD = 'it\'s, "a" 100% naïve 二 $HOME \\ #; path'


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    pytest.fail("it did not happen in time")


def ask(url: str, query: str) -> Any:
    async def fetch() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def pid_of(server: EmbeddedPostgres) -> int:
    assert server.server_pid is not None
    return server.server_pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: ended(pid))


def kill_server(pid: int) -> None:
    """Kill the main process, and wait for its children to notice."""
    children = psutil.Process(pid).children()
    kill(pid)
    until(lambda: all(ended(child.pid) for child in children))


def later(act: Callable[[], None]) -> threading.Event:
    """Do something in half a second; the event tells that it was done."""
    done = threading.Event()

    def run() -> None:
        done.set()
        act()

    threading.Timer(0.5, run).start()
    return done


def modes(path: Path) -> list[tuple[str, int, int, int]]:
    """Mode and owner of all directories above a path."""
    return [
        (str(above), found.st_mode, found.st_uid, found.st_gid)
        for above in path.parents
        for found in [above.stat()]
    ]


def capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


class User:
    """Another process that uses the server of a data directory, as another account and without some capabilities."""

    def __init__(self, data_dir: Path, *, uid: int | None = None, withheld: Sequence[int] = ()) -> None:
        account = "" if uid is None else str(uid)
        command = [sys.executable, "-c", USER_PROCESS, str(data_dir), account, *map(str, withheld)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def server_pid(self) -> int:
        return int(self.says())

    def leave(self) -> None:
        self.process.communicate("\n", timeout=WAIT_SECONDS)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=WAIT_SECONDS)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data"
    yield path
    end_server(path)


def end_server(path: Path) -> None:
    pid = EmbeddedPostgres(path).server_pid
    if pid is not None:
        os.kill(pid, signal.SIGCONT)
        kill_server(pid)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(os.fsdecode((path / "socket-directory").read_bytes()))


@pytest.fixture
def ordinary_uid() -> int:
    return pwd.getpwnam("daemon").pw_uid


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's."""
    programs = postgres_bin_dir()
    if not all(above.stat().st_mode & stat.S_IXOTH for above in [programs, *programs.parents]):
        pytest.skip("other accounts cannot reach the virtual environment")
    path = Path(tempfile.mkdtemp(prefix="tonne-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The number of a process of the server's account that has nothing to do with it."""
    account = server_account()
    with subprocess.Popen(
        ["sleep", "600"], user=None if account.uid == os.geteuid() else account.uid
    ) as process:
        yield process.pid
        process.kill()


@pytest.mark.parametrize("place", ["data", LONG, ODD], ids=["plain", "long", "odd"])
def test_data_below_any_path_outlives_the_server(tmp_path: Path, place: str) -> None:
    server = EmbeddedPostgres(tmp_path / place, durable=False)
    with server:
        ask(server.url, "CREATE TABLE kept AS SELECT 7 AS value")
        socket_dir = Path(ask(server.url, "SHOW unix_socket_directories"))
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        with EmbeddedPostgres(tmp_path / place) as adopted:
            assert adopted.url == server.url
    assert not server.is_running()
    assert socket_dir.is_relative_to(tmp_path) or not socket_dir.exists()
    with server:
        assert ask(server.url, "SELECT value FROM kept") == 7
    # Started by root the server is another account, which must get through to its own folder.
    expected = 0o711 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE((tmp_path / place).stat().st_mode) == expected


@pytest.mark.parametrize(("options", "expected"), [({}, "on"), ({"durable": False}, "off")])
def test_only_who_asks_goes_without_durability(
    data_dir: Path, options: dict[str, bool], expected: str
) -> None:
    with EmbeddedPostgres(data_dir, **options) as server:
        names = ["fsync", "synchronous_commit", "full_page_writes"]
        assert [ask(server.url, f"SHOW {name}") for name in names] == [expected] * 3


def test_text_sorts_the_same_everywhere(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        query = "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = current_database()"
        assert ask(server.url, query) == "b C.UTF-8"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SHOW timezone") == "UTC"


def test_start_and_stop_may_be_called_again(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.stop()
    server.start()
    pid = pid_of(server)
    server.start()
    assert server.server_pid == pid
    server.stop()
    server.stop()
    assert server.server_pid is None


def test_start_revives_a_server_that_died(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        kill_server(pid_of(server))
        assert not server.is_running()
        server.start()
        assert ask(server.url, "SELECT 1") == 1


def test_nothing_of_ours_leaks_into_the_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGHOST": "nowhere",
        "PGOPTIONS": "-c x=y",
    }.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        with EmbeddedPostgres(data_dir, durable=False) as server:
            postmaster = psutil.Process(pid_of(server))
            try:
                assert not [name for name in postmaster.environ() if name.startswith("PG")]
            except psutil.AccessDenied:
                pytest.skip("root may not look into processes of other accounts here")
            for process in [postmaster, *postmaster.children()]:
                try:
                    connections = process.net_connections(kind="inet")
                    names = {Path(file.path).name for file in process.open_files()}
                except psutil.NoSuchProcess:
                    # One that served a connection ends when it likes.
                    assert process != postmaster
                    continue
                assert connections == []
                assert "server.lock" in names
                assert not names & {"start.lock", "users.lock"}


def test_processes_share_a_server_until_the_last_leaves(data_dir: Path) -> None:
    users = [User(data_dir) for _ in range(3)]
    pids = {user.server_pid() for user in users}
    assert len(pids) == 1
    pid = pids.pop()
    users[0].leave()
    users[1].kill()
    assert not ended(pid)
    users[2].leave()
    assert ended(pid)
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


def test_a_forked_child_does_not_take_the_server_with_it(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert ask(server.url, "SELECT 1") == 1
        with EmbeddedPostgres(data_dir):
            pass
        assert server.is_running()


def test_a_server_whose_users_were_killed_is_adopted(data_dir: Path) -> None:
    user = User(data_dir)
    pid = user.server_pid()
    user.kill()
    with EmbeddedPostgres(data_dir) as server:
        assert server.server_pid == pid
        assert ask(server.url, "SELECT 1") == 1
    assert ended(pid)


def test_what_was_committed_survives_when_all_are_killed(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.start()
    ask(server.url, "CREATE TABLE kept AS SELECT 7 AS value")
    kill_server(pid_of(server))
    with EmbeddedPostgres(data_dir) as again:
        assert ask(again.url, "SELECT value FROM kept") == 7
    server.stop()


@pytest.mark.parametrize("place", ["data", LONG], ids=["plain", "long"])
def test_a_process_that_took_over_the_number_of_a_dead_server_is_left_alone(
    tmp_path: Path, place: str, sleeper: int
) -> None:
    server = EmbeddedPostgres(tmp_path / place, durable=False)
    server.start()
    socket_dir = Path(ask(server.url, "SHOW unix_socket_directories"))
    pid = pid_of(server)
    kill_server(pid)
    for file in (tmp_path / place / "postgres" / "postmaster.pid", socket_dir / ".s.PGSQL.5432.lock"):
        file.write_text(file.read_text().replace(str(pid), str(sleeper), 1))
    assert not server.is_running()
    server.start()
    assert ask(server.url, "SELECT 1") == 1
    server.stop()
    assert not ended(sleeper)


def test_the_server_of_another_directory_is_not_ours(data_dir: Path, tmp_path: Path) -> None:
    with (
        EmbeddedPostgres(tmp_path / "other", durable=False) as other,
        EmbeddedPostgres(data_dir, durable=False) as server,
    ):
        pid = pid_of(server)
        kill_server(pid)
        pid_file = data_dir / "postgres" / "postmaster.pid"
        pid_file.write_text(pid_file.read_text().replace(str(pid), str(pid_of(other)), 1))
        server.start()
        assert pid_of(server) != pid_of(other)


def test_an_empty_pid_file_does_not_stand_in_the_way(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    kill_server(pid_of(server))
    (data_dir / "postgres" / "postmaster.pid").write_text("")
    server.start()
    assert ask(server.url, "SELECT 1") == 1
    server.stop()


def test_children_that_outlive_a_killed_server_are_waited_for(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    children = psutil.Process(pid_of(server)).children()
    writer = next(child for child in children if "background writer" in " ".join(child.cmdline()))
    writer.suspend()
    kill(pid_of(server))
    assert not ended(writer.pid)
    done = later(writer.resume)
    server.start()
    assert done.is_set()
    assert ask(server.url, "SELECT 1") == 1
    server.stop()


def test_what_holds_the_data_out_of_our_sight_is_waited_for(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        pass
    # As a server in another container would, whose process number means nothing here.
    unseen = open_lock(data_dir / "server.lock")
    assert try_lock(unseen)
    done = later(lambda: os.close(unseen))
    with server:
        assert done.is_set()
        assert ask(server.url, "SELECT 1") == 1


def test_a_server_that_is_shutting_down_is_waited_for(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    pid = pid_of(server)
    children = psutil.Process(pid).children()
    checkpointer = next(child for child in children if "checkpointer" in " ".join(child.cmdline()))
    checkpointer.suspend()
    os.kill(pid, signal.SIGINT)
    until(lambda: "stopping" in (data_dir / "postgres" / "postmaster.pid").read_text())
    done = later(checkpointer.resume)
    server.start()
    assert done.is_set()
    assert pid_of(server) != pid
    server.stop()


def test_a_server_that_is_starting_up_is_waited_for(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    user = User(data_dir)
    server = EmbeddedPostgres(data_dir)
    pid = until(lambda: server.server_pid)
    os.kill(pid, signal.SIGSTOP)
    user.kill()
    done = later(lambda: os.kill(pid, signal.SIGCONT))
    with server:
        assert done.is_set()
        assert server.server_pid == pid
        assert ask(server.url, "SELECT 1") == 1


def test_a_half_made_database_is_made_anew(data_dir: Path) -> None:
    user = User(data_dir)
    until(lambda: list(data_dir.glob("postgres-partial-*/*")))
    user.kill()
    assert not (data_dir / "postgres").exists()
    with EmbeddedPostgres(data_dir, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1
    assert not list(data_dir.glob("postgres-partial-*"))


def test_a_socket_directory_that_was_swapped_is_not_used(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / LONG, durable=False)
    server.start()
    socket_dir = Path(ask(server.url, "SHOW unix_socket_directories"))
    kill_server(pid_of(server))
    shutil.rmtree(socket_dir)
    trap = tmp_path / "trap"
    trap.mkdir(mode=0o700)
    server_account().give(trap)
    socket_dir.symlink_to(trap)
    server.start()
    used = Path(ask(server.url, "SHOW unix_socket_directories"))
    server.stop()
    socket_dir.unlink(missing_ok=True)
    assert used != socket_dir
    assert list(trap.iterdir()) == []


def test_a_failed_start_quotes_the_log_and_leaves_nothing_running(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    with server:
        pass
    (data_dir / "postgres" / "postgresql.auto.conf").write_text("nonsense\n")
    with pytest.raises(EmbeddedPostgresError, match=r"postgresql\.auto\.conf"):
        server.start()
    server.stop()
    assert not server.is_running()


def test_data_of_another_version_is_refused(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    with server:
        pass
    (data_dir / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 15, this is PostgreSQL 18"):
        server.start()


def test_a_place_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match="Cannot use the data directory"):
        EmbeddedPostgres(tmp_path / "file").start()
    with pytest.raises(EmbeddedPostgresError, match="line break"):
        EmbeddedPostgres(tmp_path / "two\nlines")
    foreign = tmp_path / "data" / "postgres"
    foreign.mkdir(parents=True)
    (foreign / "notes.txt").touch()
    with contextlib.suppress(PermissionError):
        os.chown(foreign, server_account().uid, -1)
    with pytest.raises(EmbeddedPostgresError, match="holds no PostgreSQL database"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_the_log_is_bounded(tmp_path: Path) -> None:
    log = Log(tmp_path / "postgres.log")
    log.path.write_bytes(b"x" * (LOG_BYTES_MAX + 1))
    os.close(log.open())
    assert log.path.stat().st_size == 0
    assert (tmp_path / "postgres.log.1").stat().st_size == LOG_BYTES_MAX + 1


@only_as_root
def test_root_serves_data_below_a_closed_directory_and_opens_nothing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "below" / "data"
    data_dir.parent.mkdir()
    before = modes(data_dir)
    with EmbeddedPostgres(data_dir, durable=False) as server:
        assert server.is_running()
        assert psutil.Process(pid_of(server)).uids().effective == server_account().uid
    assert modes(data_dir) == before
    assert data_dir.stat().st_uid == 0


@only_as_root
@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["programs for all", "programs for root alone"])
def test_root_uses_programs_below_a_closed_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = postgres_bin_dir().parent.parent
    copy = closed / package.name
    shutil.copytree(postgres_bin_dir().parent, copy / "pginstall18")
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    (copy / "__init__.py").touch()
    for program in ("postgres", "initdb"):
        (copy / "pginstall18" / "bin" / program).chmod(mode)
    monkeypatch.syspath_prepend(closed)
    assert postgres_bin_dir().is_relative_to(closed)
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        assert server.is_running()


@only_as_root
def test_root_gives_the_server_no_capability_that_it_can_do_without(open_dir: Path) -> None:
    (open_dir / "data").mkdir(mode=0o755)
    with EmbeddedPostgres(open_dir / "data", durable=False) as server:
        assert capabilities(pid_of(server)) == 0


@only_as_root
@pytest.mark.parametrize(
    ("withheld", "granted"),
    [([], CAP_DAC_READ_SEARCH), ([CAP_DAC_READ_SEARCH], CAP_DAC_OVERRIDE)],
)
def test_root_gives_the_server_the_least_capability_that_serves(
    tmp_path: Path, withheld: list[int], granted: int
) -> None:
    if not capabilities(os.getpid()) & (1 << granted):
        pytest.skip("we do not have that capability here")
    user = User(tmp_path / "data", withheld=withheld)
    assert capabilities(user.server_pid()) == 1 << granted
    user.leave()


@only_as_root
def test_root_without_the_capabilities_is_told_what_to_do(tmp_path: Path) -> None:
    user = User(tmp_path / "data", withheld=[CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE])
    assert "PostgreSQL refuses to run as root, and the account 'nobody' cannot reach its files" in user.says()
    user.leave()


@only_as_root
def test_an_ordinary_user_serves_and_root_does_not_touch_its_data(open_dir: Path, ordinary_uid: int) -> None:
    data_dir = open_dir / "data"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, ordinary_uid, -1)
    user = User(data_dir, uid=ordinary_uid)
    assert psutil.Process(user.server_pid()).uids().effective == ordinary_uid
    user.leave()
    with pytest.raises(EmbeddedPostgresError, match="was made by the user 'daemon'"):
        EmbeddedPostgres(data_dir).start()
    assert {path.stat().st_uid for path in data_dir.rglob("*")} == {ordinary_uid}


@only_as_root
@pytest.mark.parametrize(
    ("mode", "says"), [(0o700, "belongs to the account 'root'"), (0o777, "was made by root")]
)
def test_an_ordinary_user_is_told_that_root_made_the_data(
    open_dir: Path, ordinary_uid: int, mode: int, says: str
) -> None:
    data_dir = open_dir / "data"
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    data_dir.chmod(mode)
    user = User(data_dir, uid=ordinary_uid)
    assert says in user.says()
    user.leave()
