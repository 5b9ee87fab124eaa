"""The fake that replays transcripts: each example of the manual is one."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import latchkey
from latchkey.fake import Fake
from latchkey.reply import parse_reply

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCKS = [
    (f"{page.name} {number}", block)
    for page in [DOCS / "protocol.md", DOCS.parent / "README.md"]
    for number, block in enumerate(
        re.findall(r"^```latchkey\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S), 1
    )
]


@pytest.mark.parametrize("block", [text for _, text in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_each_example_of_the_manual_is_replayed(block: str) -> None:
    with Fake(block) as fake:
        host, _, port = fake.to.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as made:
            incoming = made.makefile("rb")
            for line in block.splitlines():
                if line.startswith("> "):
                    sent = re.sub(r"<(\w+)>", lambda match: fake.value(match[1]), line[2:])
                    made.sendall(sent.encode() + b"\n")
                elif line.startswith("< "):
                    reply = parse_reply(incoming.readline().rstrip(b"\n"))
                    assert reply.word == line[2:].split(" ")[0]
                    assert reply.word == "ERR" or reply.body is not None
                    assert "<" not in re.sub(r"<[^>]*$", "", reply.rest) or reply.word == "ERR"


def test_a_function_is_tested_without_a_worker(latchkey_fake: Callable[[str], Fake]) -> None:
    fake = latchkey_fake("""
        > TURN dev-1 agent=scheduling wait=10s req=e1 {"role":"user","text":"Tuesday?"}
        < OK {"turn":<token>,"seq":1,"messages":[{"seq":1,"at":<at>,"message":{"text":"?"}}],<text>}
        > DONE dev-1 turn=<token> last=yes {"say":[{"role":"assistant","text":"At ten."}]}
        < OK {"seq":2,"rev":1}
        > LOCK dev-1 scheduling ttl=1h
        < HELD {"agent":"billing","ttl_ms":1500}
        > GET dev-1
        < OK {"session":"<id>",<text>"fields":{"lang":"en"}}
        > SET dev-1/<id> {"n":1}
        < ERR unavailable <text>
        > SET dev-1/<id> {"n":1}
        < OK {"rev":2}
    """)
    with fake.client() as client:
        message = {"role": "user", "text": "Tuesday?"}
        with client.turn("dev-1", message, agent="scheduling", wait=10, req="e1") as turn:
            turn.say({"role": "assistant", "text": "At ten."})
        assert str(turn.number) == fake.value("token")
        with pytest.raises(latchkey.Held) as held:
            client.lock("dev-1", "scheduling", ttl=3600)
        assert held.value.agent == "billing"
        record = client.get("dev-1")
        assert record is not None
        assert (record["fields"], record["state"]) == ({"lang": "en"}, "active")
        client.attach("dev-1", record["session"]).set({"n": 1})
    assert len(fake.lines) == 6


def test_it_says_what_did_not_come_and_what_came_instead() -> None:
    with pytest.raises(AssertionError, match="did not come: HOLDER dev-1"), Fake("> HOLDER dev-1"):
        pass
    fake = Fake("> HOLDER dev-1\n< NONE")
    with fake.client() as client, pytest.raises(latchkey.BadRequest, match="has HOLDER dev-1, but"):
        client.holder("dev-2")
    fake.close()
    with pytest.raises(AssertionError, match="but HOLDER dev-2 came"):
        fake.check()
    for text in ("", "< OK", "nothing"):
        with pytest.raises(ValueError, match="transcript"):
            Fake(text)


@pytest.mark.parametrize(
    "request_",
    ["HOLDER dev-1 x", "LOCK dev-1 a ttl=2s", "LOCK dev-1 a", "SAY dev-1 {}", "SEIZE dev-1 a"],
)
def test_a_request_that_differs_is_not_the_one(request_: str) -> None:
    fake = Fake("> LOCK dev-1 a ttl=1s")
    assert fake._answer("PING") == ["OK"]
    assert fake._answer(request_)[0].startswith("ERR bad_request the transcript has LOCK")
    fake.close()
