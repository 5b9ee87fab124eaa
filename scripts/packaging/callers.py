"""Callers that keep asking workers while these are replaced, and count what they got."""

from __future__ import annotations

import socket
import threading
from typing import BinaryIO


class Caller:
    """A caller that keeps one connection, and makes a new one where that has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.answered = 0
        self.drained = 0
        """How often the reply was `ERR draining`: nothing was done."""
        self.faults: list[str] = []
        """What no caller should see: a request without a reply, another error."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Ends it after its present request."""
        self._is_over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                made = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            except OSError:
                self._is_over.wait(0.01)  # between two workers
                continue
            with made, made.makefile("rb") as replies:
                self._ask(made, replies)

    def _ask(self, made: socket.socket, replies: BinaryIO) -> None:
        while not self._is_over.is_set():
            try:
                made.sendall(b"LOCK upgrade-%d caller\n" % self._port)
                reply = replies.readline()
            except OSError as error:
                self.faults.append(f"port {self._port}: {error}")
                return
            if reply.startswith(b"OK "):
                self.answered += 1
            elif reply.startswith(b"ERR draining"):
                self.drained += 1
                return
            else:
                self.faults.append(f"port {self._port}: {reply!r}")
                return
