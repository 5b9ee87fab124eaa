"""Where the workers are, and which connection can be used again."""

from __future__ import annotations

import os

import pytest

from latchkey import Client, endpoints
from latchkey.endpoints import Endpoint, Endpoints, Freshness, parse_endpoints


def test_hosts_and_ports() -> None:
    assert parse_endpoints("a:1, b:2 ,,c") == [
        Endpoint("a", 1),
        Endpoint("b", 2),
        Endpoint("c", 5282),
    ]
    assert parse_endpoints(["[::1]:7", "[fe80::1]"]) == [
        Endpoint("::1", 7),
        Endpoint("fe80::1", 5282),
    ]
    assert str(Endpoint("::1", 7)) == "[::1]:7"


@pytest.mark.parametrize("text", ["", " , ", "a:b", "a:0", "a:65536", ":5282", "::1", "a:\u0661"])
def test_what_names_no_worker_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no worker|HOST:PORT|brackets"):
        parse_endpoints(text)


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(Client().options.endpoints.current) == "127.0.0.1:5282"
    assert Client().options.secret is None
    monkeypatch.setenv("LATCHKEY_TO", "worker.example:99")
    monkeypatch.setenv("LATCHKEY_SECRET", "s3cret")
    assert str(Client().options.endpoints.current) == "worker.example:99"
    assert Client().options.secret == "s3cret"
    assert str(Client("other:1", secret="x").options.endpoints.current) == "other:1"


def test_a_failure_leads_to_the_next_worker_once() -> None:
    workers = Endpoints(parse_endpoints("a:1,b:1,c:1"), 1)
    b = workers.current
    assert b.host == "b"
    workers.failed(b)
    workers.failed(b)
    assert workers.current.host == "c"
    workers.failed(workers.current)
    assert workers.current.host == "a"


def test_a_connection_is_fresh_for_a_while_by_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    fresh = Freshness(60)
    now = 1060.0
    assert not fresh.is_over
    now = 1060.1
    assert fresh.is_over
    fresh.used()
    assert not fresh.is_over
    now = 1000.0  # set back: nothing is known
    assert fresh.is_over


def test_a_connection_of_another_process_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Freshness(60)
    monkeypatch.setattr("os.getpid", os.getppid)
    assert fresh.is_over
    assert fresh.is_forked


def test_a_secret_is_a_text() -> None:
    assert endpoints.auth_line('a "b"') == b'AUTH "a \\"b\\""\n'
    with pytest.raises(TypeError):
        endpoints.auth_line("")
