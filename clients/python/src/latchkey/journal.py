"""A queue of changes that is kept in a file, so that it outlives its process.

The file has a JSON array on each line: `["put", verb, words, options, payload]` for a change;
`["try", seconds]`, Unix time, when the oldest one is sent for the first time; `["done"]` when it is
applied or refused. It is emptied when nothing waits. An incomplete last line was never acknowledged
to a caller, and is dropped.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from .errors import LatchkeyError
from .lease import Moment
from .names import dump
from .outbox import Queue, QueueFull
from .request import Request

_SLACK = 1 << 16


class Journal(Queue):
    """A queue in a file. One process has it at a time, where the system has `flock`."""

    def __init__(
        self, path: str | os.PathLike[str], count_max: int, bytes_max: int, *, sync: bool
    ) -> None:
        """Goes on with what the file has. With `sync` each change is on the disk itself, and so
        outlives the machine, before `put` returns.

        Raises LatchkeyError if another process has the file, or it is no such queue; OSError."""
        super().__init__(count_max, bytes_max)
        self._path = os.fspath(path)
        self._sync = sync
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _lock(self._file, self._path)
            self._load()
            self._rewrite()
        except BaseException:
            os.close(self._file)
            raise

    def put(self, request: Request[Any]) -> None:
        """Adds a request. Raises QueueFull, also if the file cannot take it."""
        super().put(request)
        options = dict(request.options)
        record = ["put", request.verb, list(request.words), options, request.payload]
        size = os.fstat(self._file).st_size
        try:
            self._append(record)
            if self._sync:
                os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            self.take_back()
            raise QueueFull(f"{self._path}: {error}") from error

    def attempt(self, now: Moment) -> None:
        """The request is sent."""
        if self._attempted is None:
            self._append(["try", time.time()])
        super().attempt(now)

    def settle(self) -> None:
        """Goes on to the next."""
        super().settle()
        if not self.count:
            os.ftruncate(self._file, 0)
            return
        self._append(["done"])
        if os.fstat(self._file).st_size > 2 * self._bytes + _SLACK:
            self._rewrite()

    def close(self) -> None:
        """Closes the file, which keeps what waits."""
        os.close(self._file)

    def _append(self, record: list[Any]) -> None:
        _write(self._file, dump(record).encode("utf-8", "surrogatepass") + b"\n")

    def _load(self) -> None:
        with open(self._path, "rb") as file:
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        for at, line in enumerate(complete.splitlines(), 1):
            try:
                self._replay(json.loads(line.decode("utf-8", "surrogatepass")))
            except (ValueError, TypeError, IndexError, KeyError) as error:
                raise LatchkeyError(
                    f"{self._path} is no queue of changes (line {at}): give another path"
                ) from error

    def _replay(self, record: list[Any]) -> None:
        if record[0] == "put":
            _, verb, words, options, payload = record
            request = Request(verb, tuple(words), options, payload, read=lambda text: None)
            self.restore(request)
        elif record[0] == "try":
            ago_s = max(0.0, time.time() - float(record[1]))
            now = Moment.now()
            super().attempt(Moment(now.monotonic - ago_s, now.wall - ago_s))
        elif record == ["done"]:
            super().settle()
        else:
            raise ValueError("unknown record")

    def _records(self) -> Iterator[list[Any]]:
        for at, (request, _) in enumerate(self._waiting):
            options = dict(request.options)
            yield ["put", request.verb, list(request.words), options, request.payload]
            if at == 0 and self._attempted is not None:
                yield ["try", self._attempted.wall]

    def _rewrite(self) -> None:
        """Replaces the file by one without what is settled."""
        if not self.count:
            os.ftruncate(self._file, 0)
            return
        made_path = f"{self._path}.new"
        made = os.open(made_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _lock(made, made_path)
            lines = [dump(record).encode("utf-8", "surrogatepass") for record in self._records()]
            _write(made, b"".join(line + b"\n" for line in lines))
            os.fsync(made)
            os.replace(made_path, self._path)
        except BaseException:
            os.close(made)
            raise
        os.close(self._file)
        self._file = made


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _lock(file: int, path: str) -> None:
    try:
        import fcntl
    except ImportError:  # not on every system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LatchkeyError(f"{path} is in use by another process: give each its own") from error
