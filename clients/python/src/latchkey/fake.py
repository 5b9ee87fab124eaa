"""A worker for tests that replays a transcript: the requests that it expects, and its replies.

A transcript is written as the examples of the manual are, so each of them is one:

    > LOCK dev-1 scheduling
    < HELD {"agent":"billing","ttl_ms":1500}

`>` marks a request. Its options may come in any order, durations in any unit, and a `req=` counts
only if it is written down. `<` marks the reply, or an `EVENT` that follows it. Placeholders are
those of the manual: in a reply they become values, and `<text>` the members that a result has
besides; in a request they match what came.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from .client import Client
from .names import dump, seconds
from .stateless import LocalSession

if TYPE_CHECKING:
    from typing_extensions import Self

_TOKEN = re.compile(r'(?:[^\s"]+=)?"(?:[^"\\]|\\.)*"|\S+')
_OPTION = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.S)
_PLACEHOLDER = re.compile(r"<(token|id|at|ms|n|text)(\d*)>")
_DURATION = re.compile(r"\d+(?:ms|s|m|h|d)?")
_RECORDS = frozenset(
    {"OPEN", "GET", "RECOVER", "PAUSE", "RESUME", "CLOSE", "ARCHIVE", "COPY", "IMPORT"}
)
_GRANTS = frozenset({"LOCK", "RENEW", "HANDOFF", "SEIZE"})


class _Line(NamedTuple):
    """A request line, taken apart."""

    verb: str
    words: list[str]
    options: dict[str, str]
    payload: str


class _Step(NamedTuple):
    """A request, and what is sent when it comes."""

    request: str
    replies: list[str]


class Fake:
    """A listener that replays a transcript to any number of connections in turn. Use it in `with`.

    A request that is not the next one is `ERR bad_request`, and `check` raises AssertionError then;
    so it does if not all requests came. A PING that is not written down is answered."""

    def __init__(self, transcript: str) -> None:
        """Raises ValueError if the transcript does not begin with a request."""
        self._steps = _parse(transcript)
        self._at = 0
        self._mutex = threading.Lock()
        self._values: dict[str, str] = {}
        self._made = 0
        self._problem: str | None = None
        self._open: list[socket.socket] = []
        self.lines: list[str] = []
        """The requests that came."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.to = f"127.0.0.1:{self._listener.getsockname()[1]}"
        """HOST:PORT, for `Client(to=...)`."""
        threading.Thread(target=self._accept, name="latchkey-fake", daemon=True).start()

    def client(self, **options: Any) -> Client:
        """A client of it, with the options of `Client`. Close it."""
        return Client(self.to, **options)

    def value(self, placeholder: str) -> str:
        """What a placeholder has stood for, such as `value("token")`. Raises KeyError."""
        return self._values[placeholder]

    def check(self) -> None:
        """Raises AssertionError unless each request has come as it is written."""
        with self._mutex:
            if self._problem is not None:
                raise AssertionError(self._problem)
            if self._at < len(self._steps):
                raise AssertionError(f"this request did not come: {self._steps[self._at].request}")

    def close(self) -> None:
        """Ends it, and its connections."""
        self._listener.close()
        for made in self._open:
            made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is None:
            self.check()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(made)
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made: socket.socket) -> None:
        try:
            with made, made.makefile("rb") as incoming:
                for line in incoming:
                    replies = self._answer(line.decode().rstrip("\r\n"))
                    made.sendall("".join(reply + "\n" for reply in replies).encode())
        except (OSError, ValueError):
            return  # the connection has ended

    def _answer(self, line: str) -> list[str]:
        with self._mutex:
            self.lines.append(line)
            step = self._steps[self._at] if self._at < len(self._steps) else None
            if step is not None and self._matches(step.request, line):
                self._at += 1
                verb = _take_apart(line).verb
                return [self._filled(reply, verb) for reply in step.replies]
            if line == "PING":
                return ["OK"]
            wanted = "nothing more" if step is None else step.request
            problem = f"the transcript has {wanted}, but {line} came"
            self._problem = self._problem or problem
            return [f"ERR bad_request {problem}"]

    # Requests.

    def _matches(self, wanted: str, line: str) -> bool:
        expected, came = _take_apart(wanted), _take_apart(line)
        options = came.options
        if "req" not in expected.options:
            options = {name: value for name, value in options.items() if name != "req"}
        if (expected.verb, len(expected.words)) != (came.verb, len(came.words)):
            return False
        if set(expected.options) != set(options):
            return False
        pairs = list(zip(expected.words, came.words, strict=True))
        pairs += [(value, options[name]) for name, value in expected.options.items()]
        found: dict[str, str] = {}
        if not all(self._fits(mine, theirs, found) for mine, theirs in pairs):
            return False
        if not self._fits(_compact(expected.payload), _compact(came.payload), found):
            return False
        self._values.update(found)
        return True

    def _fits(self, wanted: str, came: str, found: dict[str, str]) -> bool:
        """Whether a part of a request is as written; placeholders get their values in `found`."""
        if wanted == came:
            return True
        if _DURATION.fullmatch(wanted) and _DURATION.fullmatch(came):
            return seconds(wanted) == seconds(came)
        names: list[str] = []
        pattern, end = "", 0
        for match in _PLACEHOLDER.finditer(wanted):
            name = match[1] + match[2]
            known = self._values.get(name, found.get(name))
            pattern += re.escape(wanted[end : match.start()])
            pattern += "(.*)" if known is None else f"({re.escape(known)})"
            names.append(name)
            end = match.end()
        matched = re.fullmatch(pattern + re.escape(wanted[end:]), came, re.S)
        if matched is None:
            return False
        pairs = zip(names, matched.groups(), strict=True)
        found.update({n: v for n, v in pairs if n.rstrip("0123456789") in ("token", "id", "at")})
        return True

    # Replies.

    def _filled(self, reply: str, verb: str) -> str:
        filled = _PLACEHOLDER.sub(self._stand_in, reply)
        word, _, rest = filled.partition(" ")
        if word == "ERR" or "<text>" not in filled:
            return filled.replace("<text>", "…")
        rest = re.sub(r":\s*<text>", ":null", rest).replace("<text>", "")
        rest = re.sub(r",\s*([}\],])", r"\1", re.sub(r"([{\[])\s*,", r"\1", rest.strip()))
        given = _closed(rest or "{}")
        if word == "OK" and isinstance(given, dict):
            given = {**self._members(verb), **given}
        return f"{word} {dump(given)}"

    def _members(self, verb: str) -> Mapping[str, Any]:
        """The members that the results of a verb have."""
        if verb in _RECORDS:
            record = LocalSession("dev-1", None).record()
            del record["how"], record["stateless"]
            return {**record, "session": self._next("id"), "thread": None}
        if verb in _GRANTS:
            token = int(self._next("token"))
            held = {"agent": "a", "token": token, "ttl_ms": 60_000, "acquired_at": _now()}
            return {**held, "renewed": False}
        if verb == "TURN":
            begun: dict[str, Any] = {
                "turn": int(self._next("token")),
                "ttl_ms": 60_000,
                "chat": 1,
                "seq": 1,
            }
            begun |= {"session": self._next("id"), "how": "new", "messages": [], "more": False}
            return {**begun, "fields": {}, "phase": None, "step": None, "waited_ms": 0}
        return {}

    def _stand_in(self, match: re.Match[str]) -> str:
        name = match[1] + match[2]
        if match[1] == "text":
            return "<text>"
        if match[1] in ("ms", "n"):
            return "1"
        if name not in self._values:
            self._values[name] = self._next(match[1])
        return self._values[name]

    def _next(self, kind: str) -> str:
        """A value that was not given out before."""
        self._made += 1
        if kind == "token":
            return str(1_795_233_877_565_000 + self._made)
        return f"01KAZ0{self._made:020}" if kind == "id" else str(_now() + self._made)


def _now() -> int:
    return int(time.time() * 1000)


def _closed(text: str) -> Any:
    """The value of JSON, to which the ends may be missing that a `<text>` stood for."""
    for _ in range(8):
        try:
            return json.loads(text)
        except ValueError:
            text += "}"
    return json.loads(text)


def _compact(payload: str) -> str:
    try:
        return dump(json.loads(payload)) if payload else ""
    except ValueError:
        return payload  # it has placeholders


def _take_apart(line: str) -> _Line:
    words: list[str] = []
    options: dict[str, str] = {}
    tokens = list(_TOKEN.finditer(line))
    for match in tokens[1:]:
        token = match[0]
        if token[0] in "{[":
            return _Line(tokens[0][0].upper(), words, options, line[match.start() :])
        option = _OPTION.fullmatch(token)
        if option is not None:
            options[option[1].lower()] = _bare(option[2])
        else:
            words.append(_bare(token))
    return _Line(tokens[0][0].upper() if tokens else "", words, options, "")


def _bare(token: str) -> str:
    try:
        return str(json.loads(token)) if token.startswith('"') else token
    except ValueError:
        return token


def _parse(transcript: str) -> list[_Step]:
    steps: list[_Step] = []
    for line in (line.strip() for line in transcript.split("\n")):
        if line.startswith("> "):
            steps.append(_Step(line[2:], []))
        elif line.startswith("< "):
            if not steps:
                raise ValueError("a transcript begins with a request, '> …'")
            steps[-1].replies.append(line[2:])
    if not steps:
        raise ValueError("the transcript has no request, '> …'")
    return steps
