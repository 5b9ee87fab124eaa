"""What the tests share: a scripted worker, a fleet on one Redis, and one way to wait."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from latchkey import AsyncClient, Client
from latchkey.asking import Bound
from latchkey.lease import HeldLock
from latchkey.results import Event
from latchkey.running import RunningTurn
from latchkey.testing import Worker

_FRAMEWORKS = {
    "adk": "google.adk",
    "botframework": "botbuilder.core",
    "claude": "claude_agent_sdk",
    "langchain": "langchain_tests",
    "langgraph": "langgraph",
    "llamaindex": "llama_index",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "strands": "strands",
}
"""The module of each framework, by the name of its tests."""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


# The adapters' tests run where their framework is installed: `scripts/test --all` has one for each.
collect_ignore_glob = [
    f"adapters/test_{name}*.py" for name, module in _FRAMEWORKS.items() if not _is_installed(module)
]

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts"


def eventually(what: Callable[[], Any], within_s: float = 10) -> Any:
    """The first true value of a function that is asked again and again."""
    deadline = time.monotonic() + within_s
    pace = threading.Event()
    while not (value := what()):
        assert time.monotonic() < deadline, "it did not become true in time"
        pace.wait(0.005)
    return value


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """A device of the test's own, with characters that no bare id has."""
    return f"gerät/{request.node.name} №1%"


class Redis:
    """A redis-server on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "redis.sock"
        self.url = f"unix://{self.path}"
        program = shutil.which("redis-server")
        assert program, "redis-server is not on the PATH"
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", str(self.path), "--save", "",
             "--appendonly", "no", "--dir", str(folder), "--logfile", "redis.log"],
        )  # fmt: skip
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            self.command("PING")
            return True
        except OSError:
            return False

    def command(self, text: str) -> bytes:
        """The beginning of the reply to an inline command."""
        with socket.socket(socket.AF_UNIX) as made:
            made.settimeout(5)
            made.connect(str(self.path))
            made.sendall(text.encode() + b"\r\n")
            return made.recv(4096)

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(10)


class Partition:
    """A relay, to HOST:PORT or a Unix socket, that forwards nothing while it is cut, and closes
    nothing."""

    def __init__(self, to: str | Path) -> None:
        self._target = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.to = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._whole = threading.Event()
        self._whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()

    def heal(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self.heal()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            try:
                onward = self._connect()
            except OSError:
                made.close()  # the worker is not there
                continue
            for pair in ((made, onward), (onward, made)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, str):
            host, _, port = self._target.rpartition(":")
            return socket.create_connection((host, int(port)))
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(self._target))
        return made

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._whole.wait()
                target.sendall(data)
        except OSError:
            pass  # the other direction has ended the pair
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        source.close()


class Fleet:
    """Two workers on one Redis, and a client of both."""

    def __init__(self, folder: Path) -> None:
        self.redis = Redis(folder / "redis")
        self.workers: list[Worker] = []
        options = ["--threads", "1", "--drain-grace", "1s"]
        try:
            for n in range(2):
                place = folder / f"worker-{n}"
                self.workers.append(Worker(place, redis=self.redis.url, options=options))
        except BaseException:
            self.stop()
            raise

    @property
    def to(self) -> str:
        """For `Client(to=...)`."""
        return ",".join(worker.to for worker in self.workers)

    def serving(self, client: Client) -> Worker:
        """The worker that the client's connections go to at present."""
        (found,) = [w for w in self.workers if w.to == str(client.options.endpoints.current)]
        return found

    def stop(self) -> None:
        """Ends all."""
        for worker in self.workers:
            worker.stop()
        self.redis.stop()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two workers on one Redis."""
    made = Fleet(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker of the test's own, whose connections can be counted."""
    with Worker(tmp_path / "worker", options=["--threads", "1"]) as made:
        yield made


class Scripted:
    """A worker of the test's own, which answers as it is scripted to.

    The script has one entry for each line that comes: a reply; None for a connection that is closed
    without one; or `...` for no reply at all. It goes on over new connections. `AUTH` is answered
    by `auth`, and other lines before it by an error, if that is given."""

    def __init__(self, script: list[Any], auth: list[str] | None = None) -> None:
        self._script = [*script]
        self._auth = [*(auth or [])]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.lines: list[str] = []
        """The lines that came, AUTH included."""
        self.connections = 0
        self.ended = 0
        """How many connections the client has closed."""
        self.to = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(made)
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        is_known = not self._auth
        with made, made.makefile("rb") as incoming:
            while line := self._line(incoming):
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                if line.startswith(b"AUTH"):
                    reply: Any = self._auth.pop(0)
                    is_known = reply.startswith("OK")
                elif not is_known:
                    reply = "ERR auth_required AUTH comes first"
                else:
                    reply = self._script.pop(0)
                if reply is None:
                    return
                if reply is not ... and not self._sent(made, reply.encode() + b"\n"):
                    break
        self.ended += 1

    @staticmethod
    def _sent(made: socket.socket, data: bytes) -> bool:
        try:
            made.sendall(data)
        except OSError:
            return False
        return True

    @staticmethod
    def _line(incoming: BinaryIO) -> bytes:
        try:
            return incoming.readline()
        except OSError:
            return b""

    def close(self) -> None:
        """Ends it, and its connections."""
        self._listener.close()
        for made in self._open:
            made.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Makes scripted workers."""
    made: list[Scripted] = []

    def make(*script: Any, auth: list[str] | None = None) -> Scripted:
        made.append(Scripted([*script], auth))
        return made[-1]

    yield make
    for one in made:
        one.close()


def transcripts() -> list[dict[str, Any]]:
    """All entries of the transcript files."""
    entries: list[dict[str, Any]] = []
    for path in sorted(TRANSCRIPTS.glob("*.jsonl")):
        # Only \n ends a line: U+2028, which splitlines() knows as one, may stand in a text.
        lines = path.read_text(encoding="utf-8").split("\n")
        entries += [json.loads(line) for line in lines if line]
    return entries


class Driver:
    """Either client, or what one of them returned, with blocking methods."""

    def __init__(self, subject: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.subject = subject
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.subject, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.result_of(found(*args, **kwargs))

        return call

    def result_of(self, result: Any) -> Any:
        """The result, awaited if it has to be."""
        if self._loop is not None and isinstance(result, Awaitable):
            result = self._loop.run_until_complete(_awaited(result))
        is_ours = isinstance(result, (Bound, HeldLock, RunningTurn))
        return Driver(result, self._loop) if is_ours else result

    def collect(self, events: Any, count: int) -> list[Event]:
        """The next events of an iterator, which stays open; fewer if it ends."""
        found: list[Event] = []
        while len(found) < count:
            try:
                found.append(next(events) if self._loop is None else self.result_of(anext(events)))
            except (StopIteration, StopAsyncIteration):
                break
        return found

    def end(self, events: Any) -> None:
        """Ends an iterator, as `break` does."""
        if self._loop is None:
            events.close()
        else:
            self.result_of(events.aclose())


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


@pytest.fixture(params=["blocking", "async"])
def drive(request: pytest.FixtureRequest) -> Iterator[Callable[..., Driver]]:
    """Makes a client of either kind with the given parameters."""
    loop = asyncio.new_event_loop() if request.param == "async" else None
    made: list[Driver] = []

    def make(*args: Any, **kwargs: Any) -> Driver:
        client = Client(*args, **kwargs) if loop is None else AsyncClient(*args, **kwargs)
        made.append(Driver(client, loop))
        return made[-1]

    yield make
    for driver in made:
        driver.close()
    if loop is not None:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def client(drive: Callable[..., Driver], latchkey_worker: Worker) -> Driver:
    """A client of either kind, of the worker that all tests share."""
    return drive(latchkey_worker.to)


@pytest.fixture(autouse=True)
def _no_inherited_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LATCHKEY_TO", "LATCHKEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert "LATCHKEY_TO" not in os.environ
