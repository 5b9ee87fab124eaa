"""TLS to a worker, and what AUTH is sent: both clients, with certificates made by openssl."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Driver, Scripted, eventually

import latchkey
from latchkey import TLS, Client, Unavailable
from latchkey.testing import Worker
from latchkey.tls import Contexts, configured


def openssl(*words: str | Path) -> None:
    made = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


class Certificates:
    """An authority in a folder, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", "/CN=tests", "-addext", "keyUsage=critical,keyCertSign",
                "-keyout", folder / "ca.key", "-out", self.ca)  # fmt: skip

    def make(self, name: str, *, names: str = "IP:127.0.0.1") -> TLS:
        """A certificate with its key, in place of one that is there."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", key, "-out", request)  # fmt: skip
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key",
                "-set_serial", str(time.time_ns()), "-days", "2", "-extfile", extensions,
                "-out", cert)  # fmt: skip
        return TLS(self.ca, cert, key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker that wants a certificate of each caller."""
    own = certificates.make("worker")
    options = ["--tls-cert", str(own.cert), "--tls-key", str(own.key)]
    options += ["--tls-client-ca", str(own.ca), "--threads", "1"]
    with Worker(tmp_path_factory.mktemp("worker"), options=options) as worker:
        yield worker


def test_all_that_the_clients_do_works_with_tls(
    drive: Callable[..., Driver], secure: Worker, certificates: Certificates, device: str
) -> None:
    files = certificates.make("caller")
    client = drive(secure.to, tls=files)
    client.open(device)
    large = {"text": "x" * 200_000}
    assert client.say(device, [large, large])["seq"] == 2
    assert client.history(device)["messages"][1]["message"] == large
    recovered, said = client.ask_all(
        [latchkey.verbs.recover(device), latchkey.verbs.say(device, {"n": 3})]
    )
    assert (recovered["how"], said["seq"]) == ("latest", 3)
    start = client.events(device, limit=1)["events"][0]["id"]
    events = client.subject.watch(device, types="lock.cleared", idle=10, after=start)
    client.lock(device, "a", release=False)
    client.clear(device)
    assert client.collect(events, 1)[0]["agent"] == "a"
    client.end(events)
    near = Driver(client.subject.near(), client._loop)
    for _ in range(3):
        assert near.history(device)["last_seq"] == 3
    assert near.subject.hits >= 1
    near.close()
    # The end of a connection is noticed before the next request is sent.
    secure.stop()
    secure.restart()
    assert client.say(device, {"n": 4})["seq"] in (1, 4)


def test_a_renewal_under_way_is_given_up_at_the_end_of_a_block(
    secure: Worker, certificates: Certificates, device: str
) -> None:
    files = certificates.make("caller")
    with Client(secure.to, tls=files) as client, client.lock(device, "a", ttl=0.3) as lock:
        began = lock.ttl_s
        eventually(lambda: lock.ttl_s > began - 0.05 and time.monotonic())
        secure.freeze()
        try:
            with pytest.raises(latchkey.LatchkeyError):
                client.within(0.4).holder(device)
        finally:
            secure.thaw()
        lock._lease.is_released = True


def test_the_environment_has_it_too(
    secure: Worker, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = certificates.make("caller")
    monkeypatch.setenv("LATCHKEY_TO", secure.to)
    monkeypatch.setenv("LATCHKEY_TLS_CA", str(files.ca))
    monkeypatch.setenv("LATCHKEY_TLS_CLIENT_CERT", str(files.cert))
    monkeypatch.setenv("LATCHKEY_TLS_CLIENT_KEY", str(files.key))
    with Client() as client:
        client.ping()
    context = ssl.create_default_context(cafile=files.ca)
    context.load_cert_chain(str(files.cert), files.key)
    with Client(tls=context) as client:
        client.ping()
    with Client(tls=False) as client, pytest.raises(latchkey.LatchkeyError, match="TLS"):
        client.ping()


def test_which_settings_turn_it_on(certificates: Certificates) -> None:
    assert configured(None, {}) is None
    assert configured(None, {"LATCHKEY_TLS": "no"}) is None
    assert configured(False, {"LATCHKEY_TLS": "1"}) is None
    for given, environment in [(True, {}), (None, {"LATCHKEY_TLS": "1"})]:
        made = configured(given, environment)
        assert made is not None
        assert made.context().verify_mode is ssl.CERT_REQUIRED
        assert made.context().check_hostname
    assert configured(None, {"LATCHKEY_TLS_CA": str(certificates.ca)}) is not None
    with pytest.raises(ValueError, match="yes or no"):
        configured(None, {"LATCHKEY_TLS": "perhaps"})


def test_a_worker_that_is_not_verified_gets_nothing(
    drive: Callable[..., Driver],
    secure: Worker,
    certificates: Certificates,
    tmp_path: Path,
    scripted: Callable[..., Scripted],
) -> None:
    files = certificates.make("caller")
    strangers = Certificates(tmp_path)
    plain = scripted(*[None] * 99)
    rows = [
        (secure.to, files._replace(ca=strangers.ca), "CERTIFICATE_VERIFY_FAILED|verify failed"),
        (secure.to, TLS(files.ca), "certificate|closed|EOF|reset"),
        (secure.to, files._replace(ca=tmp_path / "none.pem"), "No such file"),
        (f"localhost:{secure.to.rpartition(':')[2]}", files, "ostname mismatch|verify failed"),
        (plain.to, files, "SSL|EOF|(?i:reset)"),
    ]
    for to, tls, expected in rows:
        client = drive(to, tls=tls, timeout=0.4, secret="s3cret")
        with pytest.raises((Unavailable, latchkey.UnknownOutcome), match=expected):
            client.ping()
    assert not [line for line in plain.lines if "s3cret" in line]


def test_files_are_read_again_when_they_have_changed(
    certificates: Certificates, tmp_path: Path
) -> None:
    renewed = Certificates(tmp_path)
    files = renewed.make("caller")
    contexts = Contexts(files)
    first = contexts.context()
    assert contexts.context() is first
    renewed.make("caller")
    second = contexts.context()
    assert second is not first
    assert files.cert is not None
    os.remove(files.cert)
    assert contexts.context() is second, "those from before stay while files are replaced"


@pytest.mark.parametrize("kind", ["secret", "jwt", "ticket"])
def test_what_proves_the_caller_is_asked_for_anew(
    kind: str, drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    worker = scripted(
        "OK",
        "ERR auth_required the token has expired",
        "OK",
        auth=['OK {"name":"a"}', "ERR forbidden expired", 'OK {"name":"a"}'],
    )
    made: list[str] = []

    def refresh() -> str:
        made.append(f"t.{len(made)}-x")
        return made[-1]

    client = drive(worker.to, **{kind: refresh})
    client.ping()
    with pytest.raises(latchkey.Forbidden):
        client.ping()  # its one further attempt was used for the token that had expired
    client.ping()
    sent = [line for line in worker.lines if line.startswith("AUTH")]
    word = {"secret": 'AUTH "{}"', "jwt": "AUTH jwt {}", "ticket": "AUTH ticket {}"}[kind]
    assert sent == [word.format(token) for token in made]


def test_there_is_one_secret_and_it_is_a_text() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Client("a:1", secret="a", jwt="b")
    client = Client("127.0.0.1:1", jwt=lambda: "", timeout=0.1)
    with client, pytest.raises(TypeError, match="jwt= is a non-empty str"):
        client.ping()
