"""Workers that are killed, frozen, drained and restarted; connections that end; forks; threads."""

from __future__ import annotations

import base64
import hmac
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest
from conftest import Driver, Fleet, Scripted, eventually

import latchkey
from latchkey import Client, Unavailable, UnknownOutcome
from latchkey.testing import Worker


def test_a_killed_worker_is_replaced_by_the_other(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    client.open(device)
    for n in range(4):
        serving = fleet.serving(client.subject)
        serving.kill()
        assert client.say(device, {"n": n})["seq"] == n + 1
        assert fleet.serving(client.subject) is not serving
        serving.restart()


def test_a_frozen_worker_costs_one_attempt(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    client.open(device)
    serving = fleet.serving(client.subject)
    serving.freeze()
    try:
        began = time.monotonic()
        assert client.say(device, {"n": 1})["seq"] == 1
        assert 0.99 < time.monotonic() - began < 4
        began = time.monotonic()
        assert client.say(device, {"n": 2})["seq"] == 2  # the other one serves from now on
        assert time.monotonic() - began < 0.99
    finally:
        serving.thaw()
    assert client.history(device)["last_seq"] == 2


def test_a_draining_worker_loses_no_request(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    client.open(device)
    serving = fleet.serving(client.subject)
    said = 0
    serving.drain()
    while said < 200 or fleet.serving(client.subject) is serving:
        said += 1
        assert client.say(device, {"n": said})["seq"] == said
    serving.stop()
    assert client.history(device, last=0)["last_seq"] == said


def test_a_restarted_worker_is_found_again(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    worker = fleet.workers[0]
    client = drive(worker.to)
    client.open(device)
    worker.stop()
    restart = threading.Thread(target=worker.restart)
    restart.start()
    assert client.say(device, {"n": 1})["seq"] == 1
    restart.join()
    worker.kill()
    worker.restart()
    assert client.say(device, {"n": 2})["seq"] == 2


def test_without_a_worker_the_deadline_holds(drive: Callable[..., Driver]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        to = f"127.0.0.1:{unused.getsockname()[1]}"
    client = drive(to, timeout=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable) as error:
        client.say("d", {"n": 1})
    assert time.monotonic() - began < 0.5
    assert "nothing was done" in str(error.value)
    with pytest.raises(Unavailable):
        client.lock("d", "a")


def test_a_total_deadline_for_one_call(drive: Callable[..., Driver]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = f"127.0.0.1:{silent.getsockname()[1]}"
        client = drive(to)
        within = Driver(client.subject.within(0.2), client._loop)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            within.get("d")
        assert 0.19 < time.monotonic() - began < 0.5


def test_a_change_without_a_definite_reply_is_unknown_and_safe_to_repeat(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    worker = scripted(None, "ERR unknown_outcome no answer in time", *[...] * 50)
    client = drive(worker.to, timeout=0.5, reply_timeout=0.2)
    with pytest.raises(UnknownOutcome) as unknown:
        client.say("d", {"n": 1}, req="event 1")
    assert unknown.value.req == "event 1"
    assert set(worker.lines) == {'SAY d req=event%201 {"n":1}'}
    with pytest.raises(UnknownOutcome) as unknown:
        client.say("d", {"n": 1})
    assert unknown.value.req
    assert worker.lines[-1] == f'SAY d req={unknown.value.req} {{"n":1}}'
    with pytest.raises(Unavailable):
        client.history("d")  # a read is never unknown


def test_a_lost_reply_is_asked_for_again_and_the_change_is_made_once(
    drive: Callable[..., Driver], latchkey_worker: Worker, device: str
) -> None:
    with Cutter(latchkey_worker.to) as cutter:
        client = drive(cutter.to)
        client.open(device)
        cutter.cut_replies = 1
        assert client.say(device, {"n": 1})["seq"] == 1
        cutter.cut_replies = 2
        assert client.say(device, {"n": 2})["seq"] == 2
        assert cutter.cut_replies == 0
        assert client.history(device)["last_seq"] == 2


class Cutter:
    """A relay to a worker that ends connections when the reply comes, so that it is lost."""

    def __init__(self, to: str) -> None:
        host, _, port = to.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.to = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_replies = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        with made, socket.create_connection(self._target) as onward:
            lines, replies = made.makefile("rb"), onward.makefile("rb")
            for line in lines:
                onward.sendall(line)
                reply = replies.readline()
                if self.cut_replies:
                    self.cut_replies -= 1
                    return
                made.sendall(reply)

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def test_a_connection_that_the_worker_closed_is_noticed_before_it_is_used(
    drive: Callable[..., Driver], tmp_path: object, scripted: Callable[..., Scripted]
) -> None:
    worker = scripted("OK", "OK")
    client = drive(worker.to)
    client.ping()
    for made in worker._open:
        made.shutdown(socket.SHUT_RDWR)
    eventually(lambda: worker.connections == 1)
    client.ping()
    assert worker.lines == ["PING", "PING"]  # neither came twice
    assert worker.connections == 2


def test_a_connection_that_was_idle_for_long_is_not_used(
    drive: Callable[..., Driver],
    scripted: Callable[..., Scripted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = scripted("OK", "OK", "OK")
    client = drive(worker.to, idle=60)
    now = time.time()
    client.ping()
    client.ping()
    assert worker.connections == 1
    monkeypatch.setattr("time.time", lambda: now + 100)
    client.ping()
    assert worker.connections == 2


def test_a_line_that_was_not_asked_for_ends_the_connection(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    worker = scripted('OK\nOK {"late":1}', 'OK {"version":"x"}', "EVENT {}", "hello")
    client = drive(worker.to)
    client.ping()
    assert client.info() == {"version": "x"}
    with pytest.raises(latchkey.ProtocolError):
        client.ping()
    with pytest.raises(latchkey.ProtocolError):
        client.ping()


def test_a_secret_is_sent_first_and_asked_for_again_when_it_is_rejected(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    secrets = iter(["old", "new"])
    worker = scripted("OK", "OK", auth=["ERR forbidden invalid secret", 'OK {"name":"n"}'])
    client = drive(worker.to, secret=lambda: next(secrets))
    client.ping()
    client.ping()
    assert [line for line in worker.lines if line != "PING"] == ['AUTH "old"', 'AUTH "new"']
    assert worker.lines[-2:] == ["PING", "PING"]
    fixed = scripted(auth=["ERR forbidden invalid secret"])
    with pytest.raises(latchkey.Forbidden):
        drive(fixed.to, secret="wrong").ping()
    with pytest.raises(TypeError, match="secret"):
        drive(fixed.to, secret=lambda: "").ping()
    big = scripted('OK {"seq":1,"chat":1}', auth=["OK"])
    drive(big.to, secret="s").say("d", {"text": "x" * 5000})
    assert [line[:4] for line in big.lines] == ["AUTH", "SAY "]


def test_a_worker_with_principals(tmp_path_factory: pytest.TempPathFactory) -> None:
    import subprocess

    folder = tmp_path_factory.mktemp("auth")
    binary = os.environ["LATCHKEY_BINARY"]
    made = subprocess.run(
        [binary, "secret", "scheduler"], capture_output=True, text=True, check=True
    )
    (folder / "principals").write_text(made.stdout)
    secret = made.stderr.split()[-1]
    options = ["--auth", str(folder / "principals")]
    with Worker(folder, options=options) as worker:
        with Client(worker.to, secret=secret) as client:
            client.say(client.session("d").device, {"text": "x" * 20_000})
        with Client(worker.to, secret="wrong") as client, pytest.raises(latchkey.Forbidden):
            client.get("d")
        with Client(worker.to) as client, pytest.raises(latchkey.Forbidden):
            client.get("d")


def _token(user: str, seconds: float, secret: bytes) -> str:
    """A JWT of a user, signed by HS256."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    claims = {"sub": user, "exp": time.time() + seconds}
    signed = ".".join(part(json.dumps(it).encode()) for it in ({"alg": "HS256"}, claims))
    return signed + "." + part(hmac.digest(secret, signed.encode(), "sha256"))


def test_a_token_that_ends_is_replaced(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("jwt")
    secret = b"0123456789abcdef0123456789abcdef"
    key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")}
    (folder / "keys.json").write_text(json.dumps({"keys": [key]}))
    made: list[str] = []

    def token() -> str:
        # The first one ends while it is in use.
        made.append(_token("ada", 600 if made else 1.5, secret))
        return made[-1]

    options = ["--jwt-keys", str(folder / "keys.json")]
    with Worker(folder, options=options) as worker, Client(worker.to, jwt=token) as client:
        session = client.open("d")
        assert session["links"] == {"user": ["ada"]}
        with Client(worker.to, jwt=_token("bob", 600, secret)) as other:
            assert other.get("d") is None
        # A caller that waits is answered when its token ends, and asks again with the next one.
        history = client.history("d", after=0, wait=2)
        assert history is not None
        assert history["messages"] == []
        assert len(made) == 2


def test_a_forked_child_makes_connections_of_its_own(latchkey_client: Client, device: str) -> None:
    latchkey_client.open(device)
    latchkey_client.say(device, {"n": 0})
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(20):
                    latchkey_client.say(device, {"pid": os.getpid()})
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    for _ in range(20):
        latchkey_client.say(device, {"pid": os.getpid()})
        assert latchkey_client.ping() is None
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0, 0, 0]
    assert latchkey_client.history(device, last=0)["last_seq"] == 101


def test_each_thread_has_a_connection_and_none_gets_anothers_reply(
    latchkey_worker: Worker, device: str
) -> None:
    failures: list[BaseException] = []
    with latchkey_worker.client() as client:

        def work(n: int) -> None:
            try:
                mine = f"{device}-{n}"
                client.open(mine, {"n": n})
                for _ in range(30):
                    record = client.get(mine)
                    assert record is not None
                    assert record["fields"] == {"n": n}
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []


def test_a_closed_client_asks_no_more(
    drive: Callable[..., Driver], latchkey_worker: Worker
) -> None:
    client = drive(latchkey_worker.to)
    client.ping()
    client.close()
    with pytest.raises(latchkey.LatchkeyError, match="closed"):
        client.ping()


def test_closing_ends_the_requests_of_other_threads(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(...)
    client = Client(worker.to, reply_timeout=30, timeout=30)
    errors: list[latchkey.LatchkeyError] = []

    def ask() -> None:
        try:
            client.ping()
        except latchkey.LatchkeyError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: worker.lines)
    client.close()
    thread.join(5)
    assert "closed" in str(errors[0])


def test_an_interrupted_request_leaves_no_reply_behind(scripted: Callable[..., Scripted]) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    worker = scripted(..., 'OK {"version":"x"}')
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with Client(worker.to) as client:
            main = threading.main_thread().ident
            assert main is not None

            def send() -> None:
                eventually(lambda: worker.lines)
                signal.pthread_kill(main, signal.SIGUSR1)

            thread = threading.Thread(target=send)
            thread.start()
            with pytest.raises(Interrupted):
                client.ping()
            thread.join()
            assert client.info() == {"version": "x"}
            assert worker.connections == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
