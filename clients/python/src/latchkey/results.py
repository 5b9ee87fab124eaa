"""The results of the verbs: the JSON of the replies, with ids decoded.

Their names are those of the manual's protocol page. Times (`..._at`, `at`) are Unix milliseconds
by Redis' clock, durations (`..._ms`) milliseconds. A result may have more members than are listed.
Where a value is corrupt in Redis it is None, and its name is in the result's list `damaged`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, cast

from .names import decode_id, load

T = TypeVar("T")


class Grant(TypedDict):
    """A lock that was acquired, renewed or passed on."""

    agent: str
    token: int
    ttl_ms: int
    acquired_at: int
    renewed: bool


class Seizure(Grant):
    """A lock that was seized, and from which agent."""

    seized_from: str | None


class Released(TypedDict):
    """A lock that ended, and for how long it was held."""

    held_ms: int


class Cleared(Released):
    """A lock that an operator ended, and its holder."""

    agent: str


class _Holder(TypedDict):
    agent: str
    ttl_ms: int
    acquired_at: int
    waiting: int


class Holder(_Holder, total=False):
    """The agent that holds a device, how many wait for the lock, and the note of the handoff, if
    there was one."""

    note: Any
    returns_to: str


class HeldLock(TypedDict):
    """A lock that is held."""

    device: str
    agent: str
    acquired_at: int
    ttl_ms: int


class Locks(TypedDict):
    """A page of held locks; `cursor` gets the next one, None if this is the last."""

    locks: list[HeldLock]
    cursor: str | None


class Hook(TypedDict):
    """A webhook of the fleet; `url` is shown without its secret parts.

    `lag` is how many events it has not delivered, `lag_ms` how old the oldest of them is; `state`
    is `"delivering"`, `"failing"` or `"damaged"`."""

    name: str
    url: str | None
    types: list[str] | None
    devices: str | None
    signed: bool
    state: str
    lag: int
    lag_ms: int
    under_way: int
    delivered: int
    delivered_at: int | None
    failed: int
    last_error: str | None
    last_error_at: int | None
    created_at: int | None


class Hooks(TypedDict):
    """The hooks of the fleet, by name."""

    hooks: list[Hook]


class Clocks(TypedDict):
    """The lengths of a session's clocks; 0 is off."""

    idle_ms: int
    abandon_ms: int
    archive_ms: int
    life_ms: int
    keep_ms: int
    warn_ms: int


class Share(TypedDict):
    """The role of another user in a session; `until` is in Unix milliseconds."""

    user: str
    role: str
    until: int | None


class Ticket(TypedDict):
    """A ticket for a session."""

    ticket: str
    expires_at: int


class Shared(TypedDict, total=False):
    """The users with whom a session is shared; left out without any."""

    shares: list[Share]


class Record(Shared):
    """A session."""

    session: str
    device: str
    state: str
    reason: str | None
    rev: int
    name: str | None
    thread: str
    phase: str | None
    step: str | None
    policy: str | None
    fenced: bool
    created_at: int
    updated_at: int
    active_at: int
    idle_at: int | None
    abandon_at: int | None
    life_at: int | None
    keep_until: int | None
    clocks: Clocks
    chat: int | None
    chats: int
    messages: int
    links: dict[str, list[str]]
    fields: dict[str, Any]


class Shown(Record, total=False):
    """A session; with `recent`, the newest messages of its current chat. Or `unchanged` alone, if
    it has the revision that was asked about."""

    unchanged: bool
    recent: list[Message]


class _Recovered(Record):
    how: str


class Recovered(_Recovered, total=False):
    """A session that was recovered: `how` is `hint`, `latest` or `new`.

    `hint` gives the reason why the hinted session was not taken; `ignored` lists the options that
    only a new session takes. A request for one session has none of the three.
    """

    hint: str
    ignored: list[str]


class _Begun(TypedDict):
    turn: int
    ttl_ms: int
    session: str
    how: str
    chat: int
    seq: int | None
    messages: list[Message]
    more: bool
    fields: dict[str, Any]
    phase: str | None
    step: str | None
    waited_ms: int


class Begun(_Begun, total=False):
    """A turn that has begun, or a message that was joined to the running one.

    `token` is that of the lock, with `agent`. With `joined`, the number of the running turn, only
    `seq` is there besides."""

    token: int
    ignored: list[str]
    joined: int
    trimmed: int


class _Ended(TypedDict):
    seq: int | None
    rev: int | None


class Ended(_Ended, total=False):
    """A turn that has ended; or, with `turn`, that goes on because of the joined `messages`.

    `joined` is the number of messages that are left without an answer."""

    turn: int
    messages: list[Message]
    joined: int
    trimmed: int


class Chat(TypedDict):
    """A chat of a session. `config` is None if the chat has none."""

    chat: int
    name: str | None
    created_at: int
    messages: int
    last_at: int | None
    config: dict[str, Any] | None


class Chats(TypedDict):
    """All chats of a session, and the number of the current one."""

    chats: list[Chat]
    current: int | None


class ChatName(TypedDict):
    """A chat's number and name."""

    chat: int
    name: str | None


class ChatNumber(TypedDict):
    """A chat's number."""

    chat: int


class Revised(TypedDict):
    """The new revision of a session."""

    rev: int


class _Touched(TypedDict):
    idle_at: int | None
    life_at: int | None


class Touched(_Touched, total=False):
    """When a session will pause and expire unless it is touched again; None is never.

    Of a turn also its `ttl_ms`, and how many messages are `joined` to it."""

    ttl_ms: int
    joined: int


class _Sessions(TypedDict):
    sessions: list[Record]
    cursor: str | None


class Sessions(_Sessions, total=False):
    """A page of sessions; `cursor` gets the next one, None if this is the last.

    `total`, the number of all, is there with `count`; None if it is over 10,000."""

    total: int | None


class _Said(TypedDict):
    seq: int
    chat: int


class Said(_Said, total=False):
    """The number of the last message that was said, and its chat.

    `known` is how many messages were left out because the chat has them, `trimmed` how many old
    ones the full chat has dropped.
    """

    known: int
    trimmed: int


class Message(TypedDict):
    """A message with its number and the time at which it was said."""

    seq: int
    at: int
    message: dict[str, Any]


class Messages(TypedDict):
    """Messages, oldest first."""

    messages: list[Message]


class _History(TypedDict):
    messages: list[Message]
    more: bool
    first_seq: int | None
    last_seq: int | None


class History(_History, total=False):
    """Messages of a chat, oldest first. `lost` is true if some were dropped after `after`.

    `read_to` is where a search for a role has ended before it found all. `draft` has the pieces of
    the answer that the turn `draft_turn` is writing in this chat."""

    lost: bool
    read_to: int
    draft: list[dict[str, Any]]
    draft_turn: int


class Removed(TypedDict):
    """How many messages were removed."""

    removed: int


class _Applied(TypedDict):
    seq: int
    rev: int


class Applied(_Applied, total=False):
    """The number of the chat's newest message, 0 without one, and the session's revision."""

    trimmed: int


class Profile(TypedDict, total=False):
    """The fields of a link, and their revision; after a change, the revision alone."""

    rev: int
    fields: dict[str, Any]


class Written(TypedDict):
    """The new revision of a document, and whether it was made."""

    rev: int
    created: bool


class _Document(TypedDict):
    key: str
    rev: int
    at: int


class Document(_Document, total=False):
    """A document of a session, with the time at which it was written; a page of keys may have no
    values."""

    value: Any


class Documents(TypedDict):
    """Documents in the order in which they were asked for; None for one that is not there."""

    documents: list[Document | None]


class DocumentPage(TypedDict):
    """A page of documents; `cursor` gets the next one, None if this is the last."""

    documents: list[Document]
    cursor: str | None


class _Event(TypedDict):
    id: str
    type: str
    device: str
    at: int


class Event(_Event, total=False):
    """Something that happened to a lock or a session; see the manual for each type's members."""

    agent: str | None
    token: int | None
    held_ms: int | None
    to: str
    note: Any
    returns_to: str
    session: str
    state: str
    reason: str | None
    links: dict[str, list[str]]
    clock: str
    in_ms: int


class _Events(TypedDict):
    events: list[Event]


class Events(_Events, total=False):
    """Events, oldest first. `lost` is true if the log no longer has some that were asked for.

    `damaged` names `events` if the log is corrupt in Redis; then there are none."""

    lost: bool
    damaged: list[str]


class Acknowledged(TypedDict):
    """How many of the events were pending before they were acknowledged."""

    acked: int


# --- readers: from the text of a reply's JSON to a result ------------------------------------

_IDS = ("device", "agent", "to", "seized_from", "user", "policy")


def _ids(body: dict[str, Any]) -> dict[str, Any]:
    """Decodes the ids among an object's members."""
    for name in _IDS:
        if isinstance(body.get(name), str):
            body[name] = decode_id(body[name])
    for share in body.get("shares") or ():
        if isinstance(share, dict) and isinstance(share.get("user"), str):
            share["user"] = decode_id(share["user"])
    links = body.get("links")
    if isinstance(links, dict):
        body["links"] = {
            decode_id(kind): [decode_id(ref) for ref in refs] if isinstance(refs, list) else refs
            for kind, refs in links.items()
        }
    return body


def _body(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", load(text)) if text else {}


def reader(shape: Callable[..., T]) -> Callable[[str], T]:
    """A reader of an object with ids; `shape` is its type."""
    del shape
    return cast("Callable[[str], T]", lambda text: _ids(_body(text)))


def optional(shape: Callable[..., T]) -> Callable[[str], T | None]:
    """A reader of an object with ids, or of None."""
    del shape
    return cast(
        "Callable[[str], T | None]", lambda text: None if text == "null" else _ids(_body(text))
    )


def nothing(text: str) -> None:
    """The reader of an `OK` without JSON."""


def raw(text: str) -> str:
    """A reader that leaves JSON as it came, byte for byte."""
    return text


def locks(text: str) -> Locks:
    """The reader of a page of held locks."""
    body = _body(text)
    for held in body["locks"]:
        _ids(held)
    return cast("Locks", body)


def hooks(text: str) -> Hooks:
    """The reader of the hooks."""
    body = _body(text)
    for hook in body["hooks"]:
        hook["name"] = decode_id(hook["name"])
    return cast("Hooks", body)


def documents(text: str) -> Documents:
    """The reader of documents, whose values are the caller's own."""
    return cast("Documents", _body(text))


def document_page(text: str) -> DocumentPage:
    """The reader of a page of documents."""
    return cast("DocumentPage", _body(text))


def any_object(text: str) -> dict[str, Any]:
    """A reader of an object whose members are not listed here."""
    return _ids(_body(text))


def sessions(text: str) -> Sessions:
    """The reader of a page of sessions."""
    body = _body(text)
    for record in body["sessions"]:
        _ids(record)
    return cast("Sessions", body)


def events(text: str) -> Events:
    """The reader of a page of events."""
    body = _body(text)
    body["events"] = body["events"] or []
    for event in body["events"]:
        _ids(event)
    return cast("Events", body)


def event(text: str) -> Event:
    """The reader of an event."""
    return event_of(_body(text))


def event_of(body: dict[str, Any]) -> Event:
    """An event, with its ids decoded."""
    return cast("Event", _ids(body))


def stats(text: str) -> dict[str, Any]:
    """The reader of statistics, in which agents are names of members."""
    body = _body(text)
    by_agent = body.get("locks", {}).get("by_agent")
    if isinstance(by_agent, dict):
        body["locks"]["by_agent"] = {decode_id(agent): n for agent, n in by_agent.items()}
    return body
