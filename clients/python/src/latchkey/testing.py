"""A real worker for tests: a pytest plug-in, and the process that it starts.

The plug-in comes with the installed package. The fixture `latchkey_worker` is a worker for the
whole test session, with a Redis of its own in a temporary folder; `latchkey_client` is a client of
it. The program is LATCHKEY_BINARY, else `latchkey` on the PATH, else that of the installed package
`latchkey-server`. `latchkey_fake` makes workers that replay a transcript, for what a real one does
not do on demand; they need no program.
"""

from __future__ import annotations

import importlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from .client import Client
from .fake import Fake

if TYPE_CHECKING:
    from typing_extensions import Self


class Worker:
    """A worker process, and where it listens. Use it in `with`, or call `stop`."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        options: Sequence[str] = (),
        redis: str | None = None,
        binary: str | None = None,
        ready_s: float = 30,
    ) -> None:
        """Starts it, and returns once it can serve.

        `folder`: for its data and its log `worker.log`; made if it is missing.
        `options`: further flags of `latchkey serve`.
        `redis`: the URL of a Redis, else it starts one of its own, which ends with it.
        Raises RuntimeError if it is not ready within `ready_s` seconds."""
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._options = [*options]
        self._redis = ["--redis", redis] if redis else ["--data", str(self._folder / "data")]
        self._binary = binary or _binary()
        self._ready_s = ready_s
        self._process: subprocess.Popen[bytes] | None = None
        self.to = "127.0.0.1:0"
        """HOST:PORT, for `Client(to=...)`; the same after `restart`."""
        self.http: str | None = None
        """HOST:PORT of the option `--http`, if it is among the options."""
        self._start()

    @property
    def pid(self) -> int:
        """The id of the process. Raises RuntimeError if it was stopped."""
        if self._process is None:
            raise RuntimeError("the worker was stopped")
        return self._process.pid

    def client(self, *, timeout: float = 5, reply_timeout: float = 1) -> Client:
        """A client of this worker; times in seconds. Close it."""
        return Client(self.to, timeout=timeout, reply_timeout=reply_timeout)

    def freeze(self) -> None:
        """Stops it as it is (SIGSTOP), and waits until it stands; its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        if hasattr(os, "waitid"):  # not on every system
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Lets a frozen worker go on."""
        os.kill(self.pid, signal.SIGCONT)

    def drain(self) -> None:
        """Asks it to stop as a deployment does (SIGTERM), and does not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kills it (SIGKILL), and waits until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it in an orderly way, or by SIGKILL after 10 s; nothing if it has ended."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Starts it again on the same port and the same data, after `kill` or `stop`."""
        if self._process is not None:
            raise RuntimeError("the worker is running")
        self._start()

    def _start(self) -> None:
        command = [self._binary, "serve", "--listen", self.to, "--admin", "127.0.0.1:0"]
        kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        with open(self._folder / "worker.log", "ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._redis, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=kept,
                cwd=self._folder,
            )
        try:
            self.to = self._ready(self._process)
        except BaseException:
            self.kill()
            raise

    def _ready(self, process: subprocess.Popen[bytes]) -> str:
        """Reads the line `ready listen=HOST:PORT ...`; returns HOST:PORT."""
        deadline = time.monotonic() + self._ready_s
        output = b""
        assert process.stdout is not None
        while b"\n" not in output:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                raise RuntimeError(f"the worker is not ready in time: {self._log()}")
            data = os.read(process.stdout.fileno(), 4096)
            if not data:
                raise RuntimeError(f"the worker ended before it was ready: {self._log()}")
            output += data
        first, *words = output.decode().split()
        places = dict(word.split("=", 1) for word in words if "=" in word)
        self.http = places.get("http")
        if first == "ready" and "listen" in places:
            return places["listen"]
        raise RuntimeError(f"the worker's first line is not its ready line: {output!r}")

    def _log(self) -> str:
        return (self._folder / "worker.log").read_text(errors="replace")[-2000:]

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        if number is not signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _is_setting(name: str) -> bool:
    """True for the variables that configure a worker: tests do not inherit them."""
    return name.startswith("LATCHKEY_") or name == "REDIS_URL"


def _binary() -> str:
    found = os.environ.get("LATCHKEY_BINARY") or shutil.which("latchkey")
    if found:
        return found
    try:
        # In a virtual environment that is not active, it is on no PATH.
        return str(importlib.import_module("latchkey_server").program())
    except (ImportError, FileNotFoundError):
        raise RuntimeError(
            "no worker to test with: pip install latchkey-server, put it on the PATH, "
            "or set LATCHKEY_BINARY"
        ) from None


@pytest.fixture(scope="session")
def latchkey_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker with a Redis of its own, for all tests of the session: use a device for each."""
    with Worker(tmp_path_factory.mktemp("latchkey")) as worker:
        yield worker


@pytest.fixture
def latchkey_client(latchkey_worker: Worker) -> Iterator[Client]:
    """A client of `latchkey_worker`."""
    with latchkey_worker.client() as client:
        yield client


@pytest.fixture
def latchkey_fake() -> Iterator[Callable[[str], Fake]]:
    """Makes workers that replay a transcript. After the test they check that it was kept to."""
    made: list[Fake] = []

    def make(transcript: str) -> Fake:
        made.append(Fake(transcript))
        return made[-1]

    yield make
    for fake in made:
        fake.close()
    for fake in made:
        fake.check()
