"""The client's verbs and options beside those of the worker, both ways."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from latchkey import AsyncClient, Client, Session, verbs
from latchkey.aio import AsyncSession
from latchkey.testing import Worker

# Verbs that are no method of their own, each with what does its work.
ELSEWHERE = {"AUTH": "secret=", "QUIT": "close()", "UNWATCH": "the end of the iterator"}

# Functions whose names differ from the verb's, or that are one form of it.
NAMED = {"get_chat": "GET", "set_chat": "SET", "pop_many": "POP", "import_": "IMPORT"}

# Options without which a verb says little: positional parameters of its function.
POSITIONAL = {"share": {"user"}, "unshare": {"user"}, "hook": {"url"}}

# The names of payloads, and of words that are no option.
PAYLOADS = {"fields", "config", "note", "message", "changes", "exported", "value", "payload"}


def functions() -> dict[str, Callable[..., Any]]:
    return {
        name: function
        for name, function in vars(verbs).items()
        if inspect.isfunction(function)
        and function.__module__ == verbs.__name__
        and not name.startswith("_")
    }


def verb(name: str) -> str:
    return NAMED.get(name, name.upper())


@pytest.fixture(scope="module")
def usages(latchkey_worker: Worker) -> dict[str, str]:
    with latchkey_worker.client() as client:
        return {name: client.help(name)["usage"] for name in client.help()["verbs"]}


def test_each_verb_of_the_worker_is_one_of_the_client_and_the_reverse(
    usages: dict[str, str],
) -> None:
    assert {verb(name) for name in functions()} == set(usages) - set(ELSEWHERE)


def test_each_option_of_the_worker_is_one_of_the_client_and_the_reverse(
    usages: dict[str, str],
) -> None:
    for name, usage in usages.items():
        if name in ELSEWHERE:
            continue
        # `and.KIND=` and `link.KIND=` are mappings.
        found = re.findall(r"([a-z_-]+)(?:\.KIND)?=(?=[\] ]|$)", usage)
        worker = {option.replace("_", "-") for option in found}
        client: set[str] = set()
        for function, signature in [(n, inspect.signature(f)) for n, f in functions().items()]:
            if verb(function) == name:
                client |= {
                    p.name.rstrip("_").replace("_", "-")
                    for p in signature.parameters.values()
                    if p.kind is p.KEYWORD_ONLY
                }
                client |= POSITIONAL.get(function, set())
        assert client == worker, name
        assert ("payload" in usage or " value" in usage) == bool(
            PAYLOADS & set(parameters(name)) - worker
        ), name


def parameters(name: str) -> list[str]:
    return [
        parameter
        for function, made in functions().items()
        if verb(function) == name
        for parameter, kind in inspect.signature(made).parameters.items()
        if kind.kind is not kind.KEYWORD_ONLY
    ]


def test_each_word_of_the_worker_is_one_of_the_client(usages: dict[str, str]) -> None:
    for name, usage in usages.items():
        if name in ELSEWHERE:
            continue
        # A user in place of the address is another form of that word.
        parts = usage.replace("|user=ID", "").split()[1:]
        words = [part for part in parts if "=" not in part.replace("kind=ref", "")]
        # A link is a keyword argument.
        words = [word for word in words if word != "kind=ref"]
        words = [word for word in words if "payload" not in word and word != "value"]
        for function, made in functions().items():
            if verb(function) != name:
                continue
            positional = [
                parameter.name
                for parameter in inspect.signature(made).parameters.values()
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
                and parameter.name not in PAYLOADS | POSITIONAL.get(function, set())
            ]
            assert len(positional) == len(words), (function, words)


def test_both_clients_have_each_of_them_with_the_same_parameters() -> None:
    for name, function in functions().items():
        method = "close_session" if name == "close" else name
        for client in (Client("a:1"), AsyncClient("a:1")):
            assert callable(getattr(client, method)), method
        if name in ("lock", "watch"):  # with parameters of their own
            mine, other = getattr(Client, name), getattr(AsyncClient, name)
            assert inspect.signature(mine).parameters == inspect.signature(other).parameters
            assert set(inspect.signature(function).parameters) <= set(
                inspect.signature(mine).parameters
            )
        else:
            assert getattr(Client, method) is function
            assert getattr(AsyncClient, method) is function


def test_a_session_has_each_verb_with_an_address() -> None:
    for name, function in functions().items():
        if "where" not in inspect.signature(function).parameters:
            continue
        assert getattr(Session, name) is function
        assert getattr(AsyncSession, name) is function


def test_each_verb_has_a_docstring() -> None:
    for name, function in functions().items():
        assert function.__doc__, name
        assert getattr(Client("a:1"), "close_session" if name == "close" else name).__doc__
