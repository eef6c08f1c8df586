"""`tonne serve` as a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

START_SECONDS = 120


@dataclass
class Served:
    """A `tonne serve --demo` on a data directory of its own."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def demo(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "demo.json").read_text())
        return found

    def client(self, mode: str = "test", currency: str = "USD") -> httpx.Client:
        demo = self.demo
        key = next(a["api_key"] for a in demo["accounts"] if (a["mode"], a["currency"]) == (mode, currency))
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=demo["base_url"] + "/v1", headers=headers, timeout=30, trust_env=False)

    def postmaster(self) -> int:
        return int((self.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """End the service as a power cut would, with whatever processes it has."""
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            if process.pid == self.postmaster_pid:
                continue
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(timeout=30)

    postmaster_pid: int = 0


@dataclass
class Starter:
    """Starts services and ends every one of them."""

    folder: Path
    running: list[Served] = field(default_factory=list)

    def __call__(self, data_dir: Path | None = None, *options: str) -> Served:
        data_dir = data_dir or self.folder / "data"
        log = self.folder / f"serve-{len(self.running)}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TONNE_")}
        environment["TONNE_RATE_LIMIT_PER_SECOND"] = "1000000"
        command = [
            sys.executable,
            "-m",
            "tonne",
            "serve",
            "--demo",
            "--port",
            "0",
            "--data-dir",
            str(data_dir),
        ]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )
        served = Served(data_dir, process, log)
        self.running.append(served)
        self._wait(served)
        served.postmaster_pid = served.postmaster()
        return served

    def _wait(self, served: Served) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            said = served.log.read_text(errors="replace")
            assert served.process.poll() is None, said
            if "Ctrl-C stops it" in said:
                try:
                    answer = httpx.get(served.demo["base_url"] + "/readyz", timeout=5, trust_env=False)
                except httpx.TransportError:
                    pass
                else:
                    if answer.status_code == 200:
                        return
            time.sleep(0.05)
        pytest.fail(f"the service did not start:\n{served.log.read_text(errors='replace')}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start services; whatever is still there at the end is killed by its pid."""
    starter = Starter(tmp_path)
    yield starter
    for served in starter.running:
        if served.process.poll() is None:
            served.kill()
        try:
            os.kill(served.postmaster(), signal.SIGINT)
        except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
            continue


@pytest.fixture
def until_true() -> Callable[[Callable[[], bool]], None]:
    """Ask again and again until the answer is yes."""

    def ask(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.2)
        pytest.fail("it did not happen in time")

    return ask
