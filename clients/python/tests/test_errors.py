"""The table of errors beside the manual's, and the errors as values."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

import latchkey
from latchkey.errors import ERRORS, Held, LatchkeyError, ProtocolError, Refused, Stale
from latchkey.reply import RETRYABLE, LineBuffer, parse_reply

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"


def test_each_word_and_code_of_the_manual_has_its_error() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    section = text.split("\n## Replies\n")[1].split("\n## ")[0]
    codes = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.M))
    words = set(re.findall(r"^\| `([A-Z]+)[ `]", section, re.M)) - {"OK", "ERR", "EVENT"}
    assert codes | words == set(ERRORS)
    retryable = set(re.findall(r"^\| `([a-z_]+)` \|.*\| yes", section, re.M))
    assert retryable == RETRYABLE


def test_a_reply_becomes_its_error() -> None:
    held = parse_reply(b'HELD {"agent":"a%20b","ttl_ms":1500}').error("LOCK")
    assert isinstance(held, Held)
    assert (held.agent, held.ttl_ms, held.code) == ("a b", 1500, "HELD")
    assert str(held) == "LOCK: the device is held by 'a b' for 1.5 s more"
    stale = parse_reply(b'STALE {"rev":7}').error("SET")
    assert isinstance(stale, Stale)
    assert (stale.rev, stale.seq) == (7, None)
    quota = parse_reply(b"ERR quota quota exceeded: 50 of 50").error("OPEN")
    assert isinstance(quota, latchkey.Quota)
    assert (str(quota), quota.code) == ("quota exceeded: 50 of 50", "quota")
    new = parse_reply(b"ERR something_new text").error("OPEN")
    assert isinstance(new, Refused)
    assert new.code == "something_new"


@pytest.mark.parametrize("line", [b"", b"HTTP/1.1 400 Bad Request", b"ok {}", b"\xff OK"])
def test_what_is_no_reply_is_an_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_reply(line)


@pytest.mark.parametrize("kind", sorted(set(ERRORS.values()), key=str))
def test_an_error_can_be_copied_and_sent_to_another_process(kind: type[LatchkeyError]) -> None:
    error = kind("text", "code", {"agent": "a", "rev": 1, "req": "r"})
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other), other.code, other.body) == (
            kind,
            "text",
            "code",
            error.body,
        )


def test_lines_are_found_however_the_bytes_are_cut() -> None:
    data = b"OK\nNONE\r\n" + 'OK {"a":"é"}\n'.encode() + b"rest"
    for cut in range(len(data) + 1):
        buffer = LineBuffer()
        found: list[bytes] = []
        for part in (data[:cut], data[cut:]):
            buffer.feed(part)
            while (line := buffer.next_line()) is not None:
                found.append(line)
        assert found == [b"OK", b"NONE", 'OK {"a":"é"}'.encode()]
        assert not buffer.is_empty
