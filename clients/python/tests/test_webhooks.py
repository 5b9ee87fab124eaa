"""Receivers of webhooks: the signature, and the receivers of the manual."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from pages import blocks

from latchkey import Client, InvalidSignature
from latchkey.testing import Worker
from latchkey.webhooks import HEADER as HEADER_NAME
from latchkey.webhooks import ID_HEADER, CloudEvent, verify

ROOT = Path(__file__).resolve().parents[3]
SECRET = "whsec ü"
MOMENT = 1795694400
BODY = (
    b'{"specversion":"1.0","id":"17-0","source":"urn:latchkey:f1","type":"lock.abandoned",'
    b'"subject":"phone%2F7","time":"2026-11-26T12:00:00.000Z","datacontenttype":"application/json",'
    b'"data":{"id":"17-0","type":"lock.abandoned","device":"phone%2F7","at":1795694400000,"agent":"a"}}'
)
V1 = "d03623867585feebf63f62c16acf03d5caa8a287f95de5efe66c7936dd0a7b08"
"""By `openssl dgst -sha256 -hmac`."""
HEADER = f"t={MOMENT},v1={V1}"


def signed(body: bytes, moment: int | str | None = None) -> str:
    at = int(time.time()) if moment is None else moment
    made = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={made.hexdigest()}"


def test_an_event_that_is_signed_is_returned_with_its_ids_decoded() -> None:
    event = verify(BODY, HEADER, SECRET, now=MOMENT)
    assert (event["id"], event["type"]) == ("17-0", "lock.abandoned")
    assert event["subject"] == event["data"]["device"] == "phone/7"
    assert (event["data"]["agent"], event["data"]["at"]) == ("a", MOMENT * 1000)
    # While a secret is replaced there are two, on either side; other names are of later versions.
    others = f"t={MOMENT}, v1={'0' * 64},v0=x,v2={V1},v1={V1}"
    secrets: Any
    for secrets in (["new", SECRET], [SECRET.encode()], SECRET.encode()):
        for body in (BODY, bytearray(BODY), memoryview(BODY)):
            assert verify(bytes(body), others, secrets, now=MOMENT)["id"] == "17-0"
    assert verify(BODY, HEADER, SECRET, now=MOMENT + 299)["id"] == "17-0"
    assert verify(BODY, HEADER, SECRET, tolerance_s=1e9)["id"] == "17-0"


@pytest.mark.parametrize(
    ("body", "header", "secret", "options", "text"),
    [
        (BODY + b" ", HEADER, SECRET, {"now": MOMENT}, "no signature is by this secret"),
        (BODY, HEADER, "other", {"now": MOMENT}, "no signature"),
        (BODY, HEADER, ["other", "third"], {"now": MOMENT}, "no signature"),
        (BODY, f"t={MOMENT + 1},v1={V1}", SECRET, {"now": MOMENT}, "no signature"),
        (BODY, f"t={MOMENT},v1={V1.upper()}", SECRET, {"now": MOMENT}, "no signature"),
        (BODY, f"t={MOMENT},v1=ü", SECRET, {"now": MOMENT}, "no signature"),
        (BODY, f"t={MOMENT},v1=", SECRET, {"now": MOMENT}, "no signature"),
        (BODY, HEADER, SECRET, {"now": MOMENT + 301}, "301 s old, and 300 s are allowed"),
        (BODY, HEADER, SECRET, {"now": MOMENT - 301}, "301 s ahead"),
        (BODY, HEADER, SECRET, {"now": MOMENT + 9, "tolerance_s": 5}, "9 s old"),
        (BODY, f"t={MOMENT},v2={V1}", SECRET, {"now": MOMENT}, "malformed"),
        (BODY, f"{HEADER},t={MOMENT}", SECRET, {"now": MOMENT}, "malformed"),
        (BODY, f"v1={V1}", SECRET, {"now": MOMENT}, "malformed"),
        (BODY, signed(BODY, "1e9"), SECRET, {}, "malformed"),
        (BODY, signed(BODY, "-5"), SECRET, {}, "malformed"),
        (BODY, signed(BODY, "\u0661"), SECRET, {}, "malformed"),
        (BODY, HEADER + f",v1={V1}" * 16, SECRET, {"now": MOMENT}, "malformed"),
        (BODY, None, SECRET, {}, "has the hook a secret"),
        (BODY, "", SECRET, {}, "no header"),
        (b"[1]", signed(b"[1]"), SECRET, {}, "no event"),
        (b"{", signed(b"{"), SECRET, {}, "no event"),
        (b"\xff", signed(b"\xff"), SECRET, {}, "no event"),
    ],
)
def test_what_is_not_signed_or_long_ago_is_refused_with_a_reason(
    body: bytes, header: str | None, secret: Any, options: Any, text: str
) -> None:
    with pytest.raises(InvalidSignature, match=text):
        verify(body, header, secret, **options)


def test_a_receiver_that_calls_it_wrongly_learns_so() -> None:
    text: Any = BODY.decode()
    with pytest.raises(TypeError, match="bytes"):
        verify(text, HEADER, SECRET)
    empty: Any
    for empty in ("", b"", [], ["x", ""]):
        with pytest.raises(ValueError, match="empty"):
            verify(BODY, HEADER, empty)


class Receiver(BaseHTTPRequestHandler):
    """Takes what is signed, and keeps it."""

    received: Queue[CloudEvent]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = verify(body, self.headers.get(HEADER_NAME), SECRET)
        assert self.headers[ID_HEADER] == event["id"]
        self.received.put(event)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


def test_what_a_worker_sends_is_an_event(latchkey_client: Client) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Receiver.received = Queue()
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    name, device = "own", "phone/8 ü"
    latchkey_client.hook(
        name, f"http://127.0.0.1:{server.server_port}/", secret=SECRET, types="lock.abandoned"
    )
    try:
        lock = latchkey_client.lock(device, "a 1", ttl=0.05)
        while (event := Receiver.received.get(timeout=20))["subject"] != device:
            pass  # what the log had
        assert (event["type"], event["specversion"]) == ("lock.abandoned", "1.0")
        assert (event["data"]["device"], event["data"]["agent"]) == (device, "a 1")
        assert (event["data"]["token"], event["data"]["id"]) == (lock.token, event["id"])
    finally:
        latchkey_client.unhook(name)
        server.shutdown()
        serving.join()
        server.server_close()


def by_asgi(page: dict[str, Any], body: bytes, header: str) -> int:
    sent: list[dict[str, Any]] = []
    parts = [body[:10], body[10:]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"latchkey-signature", header.encode())]}
    asyncio.run(page["asgi"](scope, receive, send))
    return int(sent[0]["status"])


def by_wsgi(page: dict[str, Any], body: bytes, header: str) -> int:
    statuses: list[str] = []
    environ = {
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_LATCHKEY_SIGNATURE": header,
        "wsgi.input": io.BytesIO(body),
    }
    assert list(page["wsgi"](environ, lambda status, _: statuses.append(status))) == []
    return int(statuses[0].split()[0])


def by_function(page: dict[str, Any], body: bytes, header: str) -> int:
    statuses = set()
    for is_base64 in (False, True):
        text = base64.b64encode(body).decode() if is_base64 else body.decode()
        event = {
            "body": text,
            "isBase64Encoded": is_base64,
            "headers": {"latchkey-signature": header},
        }
        statuses.add(page["handler"](event, None)["statusCode"])
    (status,) = statuses
    return int(status)


def test_the_receivers_of_the_manual_take_what_is_signed_and_do_the_work_once(
    latchkey_worker: Worker, latchkey_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    page: dict[str, Any] = {}
    for language, text in blocks(ROOT / "docs" / "webhooks-receivers.md"):
        if language == "python":
            exec(compile(text, "webhooks-receivers.md", "exec"), page)
    latchkey_client.session("phone/7")
    for receiver in (by_asgi, by_wsgi, by_function):
        assert receiver(page, BODY, signed(BODY)) == 204
        assert receiver(page, BODY, signed(BODY + b" ")) == 403
    said = latchkey_client.history("phone/7")["messages"]
    assert [message["message"]["text"] for message in said] == ["Please call back."]
    page["client"].close()
