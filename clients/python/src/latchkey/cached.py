"""Replies of GET and HISTORY that are kept, and why they are current. Without a socket.

A subscription with `changes=yes` follows the devices whose replies are kept. A reply is given again
only if the subscription was there before it was asked for, no change of the device came since, and
the subscription has proved a moment ago that it lives, by a reply that Redis had to be asked for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Any, NamedTuple

from .endpoints import jitter
from .lease import Moment
from .names import load
from .reply import Reply, parse_reply
from .request import Request
from .waiting import Backoff

DEVICES_MAX = 100
"""What one connection may watch."""

_READS = frozenset(
    {
        *("GET", "HISTORY", "TAKE", "KEYS", "LIST", "CHATS", "HOLDER", "LOCKS", "PROFILE"),
        *("REPORT", "STATS", "EXPORT", "EVENTS", "ACK", "PING", "INFO", "HELP", "RENEW", "TELL"),
    }
)
"""Verbs after which GET and HISTORY are as before."""

_PAUSE_S = 0.05

_KEPT = frozenset({"OK", "NONE"})


class SubscriptionLost(ConnectionError):
    """Nothing is known any more: the subscription has to begin anew."""


class _Device:
    """A device that is followed, or will be."""

    __slots__ = ("changes", "is_live", "keys")

    def __init__(self) -> None:
        self.changes = 0
        self.is_live = False
        self.keys: set[bytes] = set()


class _Entry(NamedTuple):
    device: str
    reply: Reply
    asked: Moment
    size: int


class Pauses:
    """When a subscription that was lost may begin anew: at once, then after longer and longer."""

    def __init__(self) -> None:
        self._backoff = Backoff(can_refresh=False)
        self._is_failing = False
        self._began = 0.0

    def reset(self) -> None:
        """The subscription works."""
        self._is_failing = False
        self._backoff.reset()

    def failed(self, now: float) -> float:
        """It was lost, for whatever reason. Returns the moment of the next attempt."""
        pause_s = self._backoff.failed(ConnectionError(), 1.0, jitter())
        first_at = max(now, self._began + _PAUSE_S)
        self._began = now + pause_s if self._is_failing else first_at
        self._is_failing = True
        return self._began


class Asked(NamedTuple):
    """The moment before a request that may be kept was sent, and the changes until then."""

    device: str
    key: bytes
    changes: int | None
    at: Moment


class Cached:
    """The kept replies, and what is to be sent and was received on the subscription."""

    def __init__(self, fresh_s: float, longest_s: float, bytes_max: int) -> None:
        """`fresh_s`: how old the proof may be that nothing has changed; `longest_s`: after which a
        reply is asked for again in any case; `bytes_max`: of all kept replies."""
        self._fresh_s = fresh_s
        self._longest_s = longest_s
        self._bytes_max = bytes_max
        self._bytes = 0
        self._mutex = threading.Lock()
        self._devices: OrderedDict[str, _Device] = OrderedDict()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._awaited: deque[tuple[str, Moment]] = deque()
        self._proved: Moment | None = None
        self.hits = 0
        """How many requests were answered from here."""
        self.misses = 0
        """How many were sent to a worker."""

    def forked(self) -> None:
        """In a child process: nothing is followed; another thread may have had the mutex."""
        self._mutex = threading.Lock()
        self.closed()

    # Requests.

    @staticmethod
    def keeps(request: Request[Any]) -> bool:
        """True if the reply to a request can be kept."""
        return request.verb in ("GET", "HISTORY") and "wait" not in request.options

    def find(self, request: Request[Any]) -> tuple[Reply | None, Asked]:
        """The kept reply if it is current; and what `keep` is to be called with otherwise."""
        now = Moment.now()
        device, key = request.words[0].partition("/")[0], request.line()
        with self._mutex:
            entry, followed = self._entries.get(key), self._devices.get(device)
            if followed is not None:
                self._devices.move_to_end(device)
            is_proved = self._proved is not None and now.since(self._proved) <= self._fresh_s
            if entry is not None and is_proved and now.since(entry.asked) <= self._longest_s:
                self._entries.move_to_end(key)
                self.hits += 1
                return entry.reply, Asked(device, key, None, now)
            self.misses += 1
            changes = followed.changes if followed is not None and followed.is_live else None
            return None, Asked(device, key, changes, now)

    def keep(self, asked: Asked, reply: Reply) -> None:
        """Keeps a reply, unless the device has changed since it was asked for.

        Requests of several threads may be answered in another order than they were asked in. So
        that no caller sees an older reply after a newer one, none is kept where they differ."""
        with self._mutex:
            followed = self._devices.get(asked.device)
            if followed is None or not followed.is_live or asked.changes is None:
                return
            other = self._entries.get(asked.key)
            if followed.changes != asked.changes or (other and other.reply != reply):
                self._changed(asked.device)
                return
            size = len(asked.key) + len(reply.rest)
            if reply.word not in _KEPT or size > self._bytes_max:
                return
            self._remove(asked.key)
            self._entries[asked.key] = _Entry(asked.device, reply, asked.at, size)
            self._bytes += size
            followed.keys.add(asked.key)
            while self._bytes > self._bytes_max:
                self._remove(next(iter(self._entries)))

    def changed_by(self, request: Request[Any]) -> None:
        """A request was sent that may have changed what is kept."""
        if request.verb in _READS:
            return
        with self._mutex:
            named = {word.partition("/")[0] for word in request.words}
            for device in self._devices if request.verb == "IMPORT" else named:
                self._changed(device)

    # The subscription.

    def opened(self) -> bytes:
        """A new connection is there. The lines to send: they follow the devices anew."""
        now = Moment.now()
        with self._mutex:
            self._awaited.clear()
            return b"".join(self._watch(device, now) for device in self._devices)

    def follows(self, device: str) -> bool:
        """True if the device is followed, or will be."""
        return device in self._devices

    def follow(self, device: str) -> bytes:
        """The line that has a device followed; empty if it is already."""
        with self._mutex:
            if device in self._devices:
                return b""
            self._devices[device] = _Device()
            return self._watch(device, Moment.now())

    def probe(self, device: str) -> bytes:
        """The line that proves the subscription again; empty if it is too early.

        It asks Redis for little. A worker that cannot reach Redis hears of no change, either."""
        now = Moment.now()
        with self._mutex:
            is_early = self._proved is not None and now.since(self._proved) <= self._fresh_s / 2
            if is_early or any(not device for device, _ in self._awaited):
                return b""
            self._awaited.append(("", now))
            return f"HOLDER {device}\n".encode()

    def is_settled(self, device: str) -> bool:
        """True once the worker has replied to the device's WATCH."""
        with self._mutex:
            return all(awaited != device for awaited, _ in self._awaited)

    def is_silent(self, reply_s: float) -> bool:
        """True if a reply on the subscription is overdue."""
        with self._mutex:
            return bool(self._awaited) and Moment.now().since(self._awaited[0][1]) > reply_s

    def received(self, line: bytes) -> None:
        """A line came. Raises SubscriptionLost, ProtocolError."""
        reply = parse_reply(line)
        with self._mutex:
            if reply.word == "EVENT":
                event = load(reply.rest)
                if "device" not in event:  # changes or events are lost, or the worker drains
                    raise SubscriptionLost(str(event.get("type")))
                return self._changed(event["device"])
            if not self._awaited:
                raise SubscriptionLost(f"{reply.word} {reply.rest}")
            device, asked = self._awaited.popleft()
            followed = self._devices.get(device)
            if reply.word in _KEPT:
                self._proved = asked
            elif not device or reply.code != "forbidden":
                raise SubscriptionLost(reply.rest)
            if followed is not None:
                followed.is_live = reply.word == "OK"
        return None

    def closed(self) -> None:
        """The connection is gone: nothing is current, and nothing is kept."""
        with self._mutex:
            self._awaited.clear()
            self._proved = None
            self._bytes = 0
            self._entries.clear()
            for device in list(self._devices):
                self._devices[device] = _Device()

    @property
    def is_full(self) -> bool:
        """True if no further device can be followed on this connection."""
        return len(self._devices) >= DEVICES_MAX

    def halve(self) -> None:
        """Forgets the devices that were not asked for for the longest time. The connection has
        been closed before."""
        with self._mutex:
            for _ in range(len(self._devices) - DEVICES_MAX // 2):
                self._devices.popitem(last=False)

    def _watch(self, device: str, now: Moment) -> bytes:
        self._awaited.append((device, now))
        return f"WATCH {device} changes=yes\n".encode()

    def _changed(self, device: str) -> None:
        """Forgets the replies of a device, in whatever case its id was given: with
        `--device-ids uuid` workers read them in any, and events have the lower one."""
        folded = device.lower()
        for name, followed in self._devices.items():
            if name.lower() == folded:
                followed.changes += 1
                for key in list(followed.keys):
                    self._remove(key)

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
            self._devices[entry.device].keys.discard(key)
