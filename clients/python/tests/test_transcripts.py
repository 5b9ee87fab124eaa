"""The transcripts, replayed: by the core alone, by both clients, and to a real worker."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Driver, Scripted, transcripts

from latchkey import ALL, Address, LatchkeyError, verbs
from latchkey.reply import parse_reply
from latchkey.testing import Worker

ENTRIES = transcripts()


def argument(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"device", "session", "chat"}:
        return Address(**value)
    return ALL if value == {"all": True} else value


def arguments(entry: dict[str, Any]) -> list[Any]:
    return [argument(value) for value in entry["args"]]


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": call()}
    except LatchkeyError as error:
        return {"error": {"type": type(error).__name__, "code": error.code, "body": error.body}}


def expected(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("result", "error") if name in entry}


def id_of(entry: dict[str, Any]) -> str:
    return str(entry["name"])


def test_there_are_transcripts_of_each_verb() -> None:
    shown = {entry["call"] for entry in ENTRIES}
    names = {n for n, f in vars(verbs).items() if getattr(f, "__module__", "") == verbs.__name__}
    assert shown == {name for name in names if not name.startswith("_")} - {"watch"}
    assert len({entry["name"] for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=id_of)
def test_the_core_makes_the_line_and_reads_the_reply(entry: dict[str, Any]) -> None:
    request = getattr(verbs, entry["call"])(*arguments(entry), **entry["options"])
    for line, _ in entry["wire"]:
        assert request.line().decode() == line.replace("<req>", request.req or "") + "\n"
    reply = parse_reply(entry["wire"][-1][1].encode())
    assert outcome(lambda: request.result(reply)) == expected(entry)


@pytest.mark.parametrize("entry", ENTRIES, ids=id_of)
def test_a_client_sends_the_lines_and_returns_the_result(
    entry: dict[str, Any],
    drive: Callable[..., Driver],
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted(*(reply for _, reply in entry["wire"]))
    method = {"close": "close_session"}.get(entry["call"], entry["call"])
    client = drive(worker.to)
    got = outcome(lambda: getattr(client, method)(*arguments(entry), **entry["options"]))
    if entry["call"] == "turn" and "result" in got:
        got["result"] = got["result"].begun
    if entry["call"] == "lock" and "result" in got:
        lock = got["result"]
        got["result"] = {
            "agent": lock.agent,
            "token": lock.token,
            "ttl_ms": math.ceil(lock.ttl_s) * 1000,
            "acquired_at": lock.acquired_at,
            "renewed": lock.is_renewed,
        }
    assert got == expected(entry)
    made = [line.partition("req=")[2].partition(" ")[0] for line in worker.lines]
    assert len(set(made)) == 1
    lines = [line.replace("<req>", made[0]) for line, _ in entry["wire"]]
    assert worker.lines == lines


# Ids of events are a worker's to give, policies its own, and a moment has to be ahead.
FOREIGN = {"a device's events", "acknowledgements", "a session of a policy"}


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry["name"] not in FOREIGN], ids=id_of
)
def test_a_worker_accepts_the_line(entry: dict[str, Any], latchkey_worker: Worker) -> None:
    # Whatever the state of the device makes of it: the grammar is right, the ids and options too.
    accepted = {"NONE", "HELD", "BUSY", "STALE", "illegal_state", "conflict", "quota"}
    with latchkey_worker.client() as client:
        request = getattr(verbs, entry["call"])(*arguments(entry), **entry["options"])
        if "wait" in request.options:
            request.options["wait"] = "10ms"  # nothing comes
        try:
            client.ask(request)
        except LatchkeyError as error:
            incomplete = entry["call"] == "import_" and error.code == "bad_request"
            assert error.code in accepted or incomplete, str(error)
