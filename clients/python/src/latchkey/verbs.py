"""The verbs: one function for each, which makes its request. Neither a socket nor a clock.

The clients have a method of the same name and parameters for each of them, and their docstrings
are these. Parameters that occur in many verbs:

- `where`: a device's id, any text; or `Address(device, session, chat)`.
- `token`: the fencing token of the device's lock. The change happens only under this lock.
- `turn`: the number of the device's running turn, in place of `token`.
- `req`: the idempotency key, any text. Each change has one; without this parameter it is random,
  and protects the call's own retries. Derive it from the id of the event that causes the change,
  so that a second delivery of the event is applied once, too.
- `as_`: a user. Sessions that are not linked to it are not there; what is made is linked to it.
- durations: seconds (int, float, timedelta) or a text such as `'30s'`.

Every call may raise `Unavailable`, every change `UnknownOutcome`, and every call a subclass of
`Refused`. The other errors are named with each verb.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import names, results
from .names import ALL, Address, All, Duration, encode_id
from .request import Request, change

Where = str | Address
Json = Mapping[str, Any]


def _text(value: str | None) -> str | None:
    return None if value is None else names.word(value)


def _id(value: str | None) -> str | None:
    return None if value is None else encode_id(value)


def _time(value: Duration | None) -> str | None:
    return None if value is None else names.duration(value)


def _int(value: int | None) -> str | None:
    return None if value is None else names.number(value)


def _words(value: str | Sequence[str] | None) -> str | None:
    return None if value is None else names.words(value if isinstance(value, str) else [*value])


def _links(links: Mapping[str, str | Sequence[str]] | None) -> dict[str, str]:
    """`link.KIND=REF,REF` of each kind."""
    return {
        f"link.{encode_id(kind)}": ",".join(
            encode_id(ref) for ref in ([refs] if isinstance(refs, str) else refs)
        )
        for kind, refs in (links or {}).items()
    }


def _flag(value: bool | None) -> str | None:
    return None if value is None else names.flag(value)


def _object(value: Json | None) -> str | None:
    return None if value is None else names.dump(dict(value))


def _messages(message: Json | Sequence[Json]) -> str:
    """One message, or several."""
    if isinstance(message, (str, bytes)):
        raise TypeError("a message is a mapping, or a sequence of them")
    if isinstance(message, Mapping):
        return names.dump(dict(message))
    return names.dump([dict(one) for one in message])


def _session(where: Where, instead: str) -> str:
    """An address without a chat."""
    if isinstance(where, Address) and where.chat is not None:
        raise TypeError(f"the address of a session is needed; for a chat there is {instead}")
    return names.address(where)


def _device(device: str | All) -> str:
    return "*" if isinstance(device, All) else encode_id(device)


# --- locks -----------------------------------------------------------------------------------


def lock(
    device: str,
    agent: str,
    *,
    ttl: Duration | None = None,
    fresh: bool | None = None,
    wait: Duration | None = None,
    token: int | None = None,
    req: str | None = None,
) -> Request[results.Grant]:
    """Acquires the device's lock, or starts the TTL again for the agent that holds it.

    `fresh` shares no lock with another function of the same agent. `wait` is how long to wait for
    the end of the lock, in the order of asking. Raises Held; with `token`, which never acquires a
    free device, Stale."""
    return Request(
        "LOCK",
        (encode_id(device), encode_id(agent)),
        change(
            {"ttl": _time(ttl), "fresh": _flag(fresh), "wait": _time(wait)}, token=token, req=req
        ),
        read=results.reader(results.Grant),
        wait_s=0.0 if wait is None else names.seconds(wait),
    )


def renew(
    device: str,
    agent: str,
    *,
    token: int,
    ttl: Duration | None = None,
    req: str | None = None,
) -> Request[results.Grant]:
    """Starts the TTL of the agent's own lock again; never acquires a free one.

    Raises NotFound, Held, Stale."""
    return Request(
        "RENEW",
        (encode_id(device), encode_id(agent)),
        change({"ttl": _time(ttl)}, token=token, req=req),
        read=results.reader(results.Grant),
    )


def unlock(
    device: str, agent: str, *, token: int | None = None, req: str | None = None
) -> Request[results.Released]:
    """Releases the device's lock, if this agent holds it.

    Raises NotFound, Held, Stale."""
    return Request(
        "UNLOCK",
        (encode_id(device), encode_id(agent)),
        change({}, token=token, req=req),
        read=results.reader(results.Released),
    )


def handoff(
    device: str,
    agent: str,
    to: str,
    note: Json | Sequence[Any] | None = None,
    *,
    token: int | None = None,
    ttl: Duration | None = None,
    return_: Duration | None = None,
    req: str | None = None,
) -> Request[results.Grant]:
    """Passes the lock from its holder to another agent in one step; the grant is the receiver's.

    `note` is JSON of 64 KiB at most, shown by `holder`. With `return_` the lock goes back to
    `agent`, for so long, when the receiver's ends. Raises NotFound, Held, Stale."""
    return Request(
        "HANDOFF",
        (encode_id(device), encode_id(agent), encode_id(to)),
        change({"ttl": _time(ttl), "return": _time(return_)}, token=token, req=req),
        None if note is None else names.dump(note),
        read=results.reader(results.Grant),
    )


def seize(
    device: str, agent: str, *, ttl: Duration | None = None, req: str | None = None
) -> Request[results.Seizure]:
    """Takes the device's lock, whichever agent holds it, under a new token."""
    return Request(
        "SEIZE",
        (encode_id(device), encode_id(agent)),
        change({"ttl": _time(ttl)}, token=None, req=req),
        read=results.reader(results.Seizure),
    )


def clear(device: str, *, req: str | None = None) -> Request[results.Cleared]:
    """Ends the device's lock, whichever agent holds it; for operators. Raises NotFound."""
    return Request(
        "CLEAR",
        (encode_id(device),),
        change({}, token=None, req=req),
        read=results.reader(results.Cleared),
    )


def holder(device: str) -> Request[results.Holder | None]:
    """The agent that holds the device's lock, or None; changes nothing."""
    return Request(
        "HOLDER", (encode_id(device),), read=results.optional(results.Holder), is_optional=True
    )


def locks(
    *, agent: str | None = None, limit: int | None = None, cursor: str | None = None
) -> Request[results.Locks]:
    """A page of the locks that are held on all devices, or by one agent; for operators.

    `cursor` is that of the page before."""
    options = {"agent": _id(agent), "limit": _int(limit), "cursor": _text(cursor)}
    return Request("LOCKS", (), options, read=results.locks)


# --- turns --------------------------------------------------------------------------------------


def turn(
    device: str,
    message: Json | Sequence[Json] | None = None,
    *,
    agent: str | None = None,
    token: int | None = None,
    user: str | None = None,
    policy: str | None = None,
    wait: Duration | None = None,
    settle: Duration | None = None,
    ttl: Duration | None = None,
    last: int | None = None,
    name: str | None = None,
    thread: str | None = None,
    phase: str | None = None,
    step: str | None = None,
    session_policy: str | None = None,
    idle: Duration | None = None,
    abandon: Duration | None = None,
    archive: Duration | None = None,
    life: Duration | None = None,
    keep: Duration | None = None,
    warn: Duration | None = None,
    expires_at: int | None = None,
    link: Mapping[str, str | Sequence[str]] | None = None,
    fenced: bool | None = None,
    chat: str | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Begun]:
    """Begins a turn: the device's session is recovered or made, and the message is said in it.

    `policy` says what to do while another turn runs: `enqueue`, `reject`, `join`, `interrupt` or
    `rollback`. `wait` is how long to wait for its end, in the order of asking. With
    `settle` it is returned when no more messages were joined for so long. `agent` acquires
    the device's lock too. `last` (20) is how many of the newest messages are returned.
    `session_policy` is the policy of a new session, and the other parameters are those of `open`.
    Raises Busy, Held, Stale,
    Quota; NotFound if this is a retry and the session is gone."""
    opened = open(
        "-",
        user=user,
        name=name,
        thread=thread,
        phase=phase,
        step=step,
        idle=idle,
        abandon=abandon,
        archive=archive,
        life=life,
        keep=keep,
        warn=warn,
        expires_at=expires_at,
        link=link,
        fenced=fenced,
        chat=chat,
        token=token,
        req=req,
        as_=as_,
    )
    own = {
        "agent": _id(agent),
        "policy": _text(policy),
        "wait": _time(wait),
        "settle": _time(settle),
        "ttl": _time(ttl),
        "last": _int(last),
        "session-policy": _id(session_policy),
    }
    return Request(
        "TURN",
        (encode_id(device),),
        {**own, **opened.options},
        None if message is None else _messages(message),
        read=results.reader(results.Begun),
        wait_s=0.0 if wait is None else names.seconds(wait),
        settle_s=0.0 if settle is None else 4 * names.seconds(settle),
    )


def done(
    device: str,
    changes: Json | None = None,
    *,
    turn: int,
    phase: str | None = None,
    step: str | None = None,
    seen: int | None = None,
    last: bool | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Ended]:
    """Applies a turn's last changes in one step, and ends it.

    `changes` has the members of `apply`, each of which may be missing. If
    messages were joined to the turn after number `seen`, it goes on, and the result has them;
    `last` ends it all the same. Raises Stale if the turn does not run any more, Quota,
    IllegalState."""
    options = {
        "phase": _text(phase),
        "step": _text(step),
        "seen": _int(seen),
        "last": _flag(last),
    }
    return Request(
        "DONE",
        (encode_id(device),),
        change(options, turn=turn, req=req, as_=as_),
        _object(changes),
        read=results.reader(results.Ended),
    )


def part(
    device: str, payload: Json, *, turn: int, req: str | None = None, as_: str | None = None
) -> Request[None]:
    """Pushes a piece of the answer that a turn is writing to those who watch with `changes`.

    `history` has it in `draft` until the turn ends. Raises Stale if the turn does not run any more,
    Quota beyond 256 KiB, IllegalState."""
    return Request(
        "PART",
        (encode_id(device),),
        change({}, turn=turn, req=req, as_=as_),
        names.dump(dict(payload)),
        read=results.nothing,
    )


# --- sessions --------------------------------------------------------------------------------


def open(
    device: str,
    fields: Json | None = None,
    *,
    user: str | None = None,
    name: str | None = None,
    thread: str | None = None,
    phase: str | None = None,
    step: str | None = None,
    policy: str | None = None,
    idle: Duration | None = None,
    abandon: Duration | None = None,
    archive: Duration | None = None,
    life: Duration | None = None,
    keep: Duration | None = None,
    warn: Duration | None = None,
    expires_at: int | None = None,
    link: Mapping[str, str | Sequence[str]] | None = None,
    fenced: bool | None = None,
    chat: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Makes a session, now the device's current one.

    `policy` names a policy of the worker: clocks and limits. `expires_at` is `life` as a moment, in
    Unix milliseconds. `link` are its links: `{"tag": ["a", "b"], "app": "x"}`.

    Raises Stale; Quota if the device or the user has too many; NotFound if this is a retry and
    the session is gone."""
    options = {
        "user": _id(user),
        "name": _text(name),
        "thread": _text(thread),
        "phase": _text(phase),
        "step": _text(step),
        "policy": _id(policy),
        "idle": _time(idle),
        "abandon": _time(abandon),
        "archive": _time(archive),
        "life": _time(life),
        "keep": _time(keep),
        "warn": _time(warn),
        "expires_at": _int(expires_at),
        **_links(link),
        "fenced": _flag(fenced),
        "chat": _text(chat),
    }
    return Request(
        "OPEN",
        (encode_id(device),),
        change(options, token=token, turn=turn, req=req, as_=as_),
        _object(fields),
        read=results.reader(results.Record),
    )


def recover(
    where: Where | None = None,
    fields: Json | None = None,
    *,
    archived: bool | None = None,
    on: str | None = None,
    hint: str | None = None,
    user: str | None = None,
    name: str | None = None,
    thread: str | None = None,
    phase: str | None = None,
    step: str | None = None,
    policy: str | None = None,
    idle: Duration | None = None,
    abandon: Duration | None = None,
    archive: Duration | None = None,
    life: Duration | None = None,
    keep: Duration | None = None,
    warn: Duration | None = None,
    expires_at: int | None = None,
    link: Mapping[str, str | Sequence[str]] | None = None,
    fenced: bool | None = None,
    chat: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Recovered]:
    """With a session's address, makes it active; with a device, its hinted or latest session.

    Without `where`, with `user` and `on`, it is the user's latest session on any device. If there
    is none that can be recovered, a new one is made, on the device `on`, of the other parameters,
    which are those of `open`. Raises NotFound, Stale, IllegalState, Quota."""
    opened = open(
        "-",
        fields,
        user=user,
        name=name,
        thread=thread,
        phase=phase,
        step=step,
        policy=policy,
        idle=idle,
        abandon=abandon,
        archive=archive,
        life=life,
        keep=keep,
        warn=warn,
        expires_at=expires_at,
        link=link,
        fenced=fenced,
        chat=chat,
        token=token,
        turn=turn,
        req=req,
        as_=as_,
    )
    return Request(
        "RECOVER",
        () if where is None else (names.address(where),),
        {
            "archived": _flag(archived),
            "on": _id(on),
            "hint": _id(hint),
            **opened.options,
        },
        opened.payload,
        read=results.reader(results.Recovered),
    )


def get(
    where: Where,
    *,
    fields: str | Sequence[str] | None = None,
    last: int | None = None,
    rev: int | None = None,
    wait: Duration | None = None,
    as_: str | None = None,
) -> Request[results.Shown | None]:
    """A session's record, or None if there is none.

    With `fields` those of its fields alone, with `"none"` no fields; with `last` the newest
    messages of the current chat as `recent`, in the same snapshot. Of a session that still has the
    revision `rev` the result is `{"unchanged": True}`; `wait` is how long to wait for another."""
    return Request(
        "GET",
        (_session(where, "get_chat"),),
        {
            "fields": _words(fields),
            "last": _int(last),
            "rev": _int(rev),
            "wait": _time(wait),
            "as": _id(as_),
        },
        read=results.optional(results.Shown),
        is_optional=True,
        wait_s=0.0 if wait is None else names.seconds(wait),
    )


def get_chat(where: Where, *, as_: str | None = None) -> Request[results.Chat | None]:
    """A chat of a session, or None if there is none; `where` has a chat, such as `'current'`."""
    return Request(
        "GET",
        (names.address(where),),
        {"as": _id(as_)},
        read=results.optional(results.Chat),
        is_optional=True,
    )


def set(
    where: Where,
    fields: Json | None = None,
    *,
    user: str | None = None,
    name: str | None = None,
    phase: str | None = None,
    step: str | None = None,
    policy: str | None = None,
    idle: Duration | None = None,
    abandon: Duration | None = None,
    archive: Duration | None = None,
    life: Duration | None = None,
    keep: Duration | None = None,
    warn: Duration | None = None,
    expires_at: int | None = None,
    link: Mapping[str, str | Sequence[str]] | None = None,
    rev: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Revised]:
    """Merges members into a session's fields; None removes one. Clocks move their deadlines, and
    `policy` sets all clocks and limits as it has them. `link` replaces those of each kind.

    With `rev` it changes nothing if one of the members was changed after that revision.
    Raises NotFound, Stale, IllegalState, Quota."""
    options = {
        "user": _id(user),
        "name": _text(name),
        "phase": _text(phase),
        "step": _text(step),
        "policy": _id(policy),
        "idle": _time(idle),
        "abandon": _time(abandon),
        "archive": _time(archive),
        "life": _time(life),
        "keep": _time(keep),
        "warn": _time(warn),
        "expires_at": _int(expires_at),
        **_links(link),
        "rev": _int(rev),
    }
    return Request(
        "SET",
        (_session(where, "set_chat"),),
        change(options, token=token, turn=turn, req=req, as_=as_),
        _object(fields),
        read=results.reader(results.Revised),
    )


def set_chat(
    where: Where,
    config: Json | None = None,
    *,
    name: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.ChatName]:
    """Sets a chat's name and merges members into its configuration; None removes one.

    `where` has a chat, such as `'current'`. Raises NotFound, Stale, IllegalState; Conflict if the
    name is taken."""
    return Request(
        "SET",
        (names.address(where),),
        change({"name": _text(name)}, token=token, turn=turn, req=req, as_=as_),
        _object(config),
        read=results.reader(results.ChatName),
    )


def touch(
    where: Where,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Touched]:
    """Records activity; cheap. Raises NotFound, Stale, IllegalState."""
    return Request(
        "TOUCH",
        (names.address(where),),
        change({}, token=token, turn=turn, req=req, as_=as_),
        read=results.reader(results.Touched),
    )


def _transition(
    verb: str,
    where: Where,
    outcome: tuple[str, ...],
    reason: str | None,
    token: int | None,
    turn: int | None,
    req: str | None,
    as_: str | None,
) -> Request[results.Record]:
    return Request(
        verb,
        (names.address(where), *outcome),
        change({"reason": _text(reason)}, token=token, turn=turn, req=req, as_=as_),
        read=results.reader(results.Record),
    )


def pause(
    where: Where,
    *,
    reason: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Pauses an active session. Raises NotFound, Stale, IllegalState."""
    return _transition("PAUSE", where, (), reason, token, turn, req, as_)


def resume(
    where: Where,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Makes a paused session active. Raises NotFound, Stale, IllegalState."""
    return _transition("RESUME", where, (), None, token, turn, req, as_)


def close(
    where: Where,
    outcome: str = "completed",
    *,
    reason: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Ends a session: `completed` or `failed`. Raises NotFound, Stale, IllegalState."""
    return _transition("CLOSE", where, (names.word(outcome),), reason, token, turn, req, as_)


def archive(
    where: Where,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Archives a session now, in any state. Raises NotFound, Stale."""
    return _transition("ARCHIVE", where, (), None, token, turn, req, as_)


def delete(
    where: Where,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Removes a session with its chats, messages and links; or one chat.

    Raises NotFound, Stale."""
    return Request(
        "DELETE",
        (names.address(where),),
        change({}, token=token, turn=turn, req=req, as_=as_),
        read=results.nothing,
    )


def link(
    where: Where,
    kind: str,
    ref: str,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Links a session to an object of the caller's, such as `'mission', 'm-17'`.

    Raises NotFound, Stale, Quota; BadRequest if the kind is reserved."""
    return Request(
        "LINK",
        (names.address(where), encode_id(kind), encode_id(ref)),
        change({}, token=token, turn=turn, req=req, as_=as_),
        read=results.nothing,
    )


def unlink(
    where: Where,
    kind: str,
    ref: str,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Removes a link; one that does not exist is no error. Raises NotFound, Stale."""
    return Request(
        "UNLINK",
        (names.address(where), encode_id(kind), encode_id(ref)),
        change({}, token=token, turn=turn, req=req, as_=as_),
        read=results.nothing,
    )


def share(
    where: Where,
    user: str,
    *,
    role: str | None = None,
    until: Duration | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Gives another user a role in a session: `"read"` (the default), `"write"` or `"own"`.

    It lasts for `until`, or as long as the session is kept; a share that the user has is replaced.

    Raises NotFound, Stale, Quota; Forbidden if this caller does not own the session."""
    return Request(
        "SHARE",
        (names.address(where),),
        change(
            {"user": _id(user), "role": _text(role), "until": _time(until)},
            token=token,
            turn=turn,
            req=req,
            as_=as_,
        ),
        read=results.nothing,
    )


def unshare(
    where: Where,
    user: str | None = None,
    *,
    tickets: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Takes a user's role in a session away; with `tickets="all"` ends all tickets for it.

    A user without a role is no error. Raises NotFound, Stale."""
    return Request(
        "UNSHARE",
        (names.address(where),),
        change(
            {"user": _id(user), "tickets": _text(tickets)},
            token=token,
            turn=turn,
            req=req,
            as_=as_,
        ),
        read=results.nothing,
    )


def ticket(
    where: Where,
    *,
    role: str | None = None,
    ttl: Duration | None = None,
    as_: str | None = None,
) -> Request[results.Ticket]:
    """A signed word by which a browser, or another device, reaches this session alone.

    `role` is `"read"` (the default) or `"write"`, `ttl` how long it is good (15 minutes). Raises
    NotFound; Forbidden if this caller does not own the session."""
    return Request(
        "TICKET",
        (names.address(where),),
        {"role": _text(role), "ttl": _time(ttl), "as": _id(as_)},
        read=results.reader(results.Ticket),
    )


def list(
    device: str | All | None = None,
    *,
    state: str | Sequence[str] | None = None,
    order: str | None = None,
    since: int | None = None,
    before: int | None = None,
    fields: str | Sequence[str] | None = None,
    count: bool | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    and_: Mapping[str, str] | None = None,
    as_: str | None = None,
    **link: str,
) -> Request[results.Sessions]:
    """A page of sessions: of a device, of a link (`user='ada'`, any kind), or all (`ALL`).

    Those of a device or a link come newest first, with `order='active'` the one that was active
    last. `state` selects one state, or several; `and_={'tag': 'urgent'}` those with this link too;
    `since` and `before`, in Unix milliseconds, by the time of the order. With `fields` the records
    have those fields alone, with `"none"` no fields. With `count` the result has `total`, the
    number of all. `cursor` is that of the page before."""
    if len(link) + (device is not None) != 1:
        raise TypeError("list: give a device, ALL, or one link such as user='ada'")
    if device is not None:
        what = _device(device)
    else:
        ((kind, ref),) = link.items()
        what = f"{encode_id(kind)}={encode_id(ref)}"
    return Request(
        "LIST",
        (what,),
        {
            "state": _words(state),
            "order": _text(order),
            "since": _int(since),
            "before": _int(before),
            "fields": _words(fields),
            "count": _flag(count),
            "limit": _int(limit),
            "cursor": _text(cursor),
            "as": _id(as_),
            **{f"and.{encode_id(kind)}": encode_id(ref) for kind, ref in (and_ or {}).items()},
        },
        read=results.sessions,
    )


def profile(
    fields: Json | None = None,
    *,
    rev: int | None = None,
    req: str | None = None,
    **link: str,
) -> Request[results.Profile]:
    """The fields of a link, such as `user='ada'`; with `fields` they are merged, None removes one.

    With `rev` nothing is changed if one of the members was changed after that revision. Raises
    Stale, Quota."""
    if len(link) != 1:
        raise TypeError("profile: give one link such as user='ada'")
    ((kind, ref),) = link.items()
    return Request(
        "PROFILE",
        (f"{encode_id(kind)}={encode_id(ref)}",),
        {} if fields is None else change({"rev": _int(rev)}, token=None, req=req),
        _object(fields),
        read=results.reader(results.Profile),
    )


# --- chats -----------------------------------------------------------------------------------


def chat(
    where: Where,
    config: Json | None = None,
    *,
    name: str | None = None,
    max_messages: int | None = None,
    full: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.ChatName]:
    """Adds a chat, now the current one; `config` is its configuration.

    It keeps `max_messages`; a full one drops its oldest, or with `full="refuse"` refuses more.

    Raises NotFound, Stale, IllegalState, Quota; Conflict if the name is taken."""
    return Request(
        "CHAT",
        (names.address(where),),
        change(
            {"name": _text(name), "max-messages": _int(max_messages), "full": _text(full)},
            token=token,
            turn=turn,
            req=req,
            as_=as_,
        ),
        _object(config),
        read=results.reader(results.ChatName),
    )


def switch(
    where: Where,
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.ChatNumber]:
    """Makes the chat in the address the current one. Raises NotFound, Stale, IllegalState."""
    return Request(
        "SWITCH",
        (names.address(where),),
        change({}, token=token, turn=turn, req=req, as_=as_),
        read=results.reader(results.ChatNumber),
    )


def chats(where: Where, *, as_: str | None = None) -> Request[results.Chats]:
    """The chats of a session. Raises NotFound."""
    return Request(
        "CHATS", (names.address(where),), {"as": _id(as_)}, read=results.reader(results.Chats)
    )


def say(
    where: Where,
    message: Json | Sequence[Json],
    *,
    seq: int | None = None,
    id: str | None = None,
    after: int | None = None,
    last: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Said]:
    """Appends one message, or several in one step, to a chat; a message is a JSON object.

    With `seq` only if that is the number of the newest message, 0 in an empty chat. `id` names a
    member: messages whose value of it is in the chat already are left out. With `after` the
    messages after that number are removed in the same step, with `last` only if that is still the
    newest one. Raises NotFound, Stale, IllegalState."""
    options = {"seq": _int(seq), "id": _text(id), "after": _int(after), "last": _int(last)}
    return Request(
        "SAY",
        (names.address(where),),
        change(options, token=token, turn=turn, req=req, as_=as_),
        _messages(message),
        read=results.reader(results.Said),
    )


def history(
    where: Where,
    *,
    last: int | None = None,
    after: int | None = None,
    before: int | None = None,
    since: int | None = None,
    role: str | None = None,
    limit: int | None = None,
    wait: Duration | None = None,
    as_: str | None = None,
) -> Request[results.History]:
    """Messages of a chat, oldest first: the newest `last` (20), or those after or before a number,
    or from the time `since` on; with `role` those of one role.

    `limit` (100) is the most that are returned, and `wait` is how long to wait for a message if
    there is none after `after`. Raises NotFound; Stale if the chat has not reached the number."""
    options = {
        "last": _int(last),
        "after": _int(after),
        "before": _int(before),
        "since": _int(since),
        "role": _text(role),
        "limit": _int(limit),
        "wait": _time(wait),
        "as": _id(as_),
    }
    return Request(
        "HISTORY",
        (names.address(where),),
        options,
        read=results.reader(results.History),
        wait_s=0.0 if wait is None else names.seconds(wait),
    )


def pop(
    where: Where,
    *,
    last: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Message | None]:
    """Removes the newest message of a chat and returns it, or None if there is none.

    With `last` only if that is its number. Raises Stale, IllegalState."""
    return Request(
        "POP",
        (names.address(where),),
        change({"last": _int(last)}, token=token, turn=turn, req=req, as_=as_),
        read=results.optional(results.Message),
        is_optional=True,
    )


def pop_many(
    where: Where,
    *,
    count: int,
    last: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Messages | None]:
    """Removes up to `count` of the newest messages in one step and returns them, oldest first.

    None if there is none. With `last` only if that is the newest one's number. Raises Stale,
    IllegalState."""
    return Request(
        "POP",
        (names.address(where),),
        change(
            {"count": _int(count), "last": _int(last)}, token=token, turn=turn, req=req, as_=as_
        ),
        read=results.optional(results.Messages),
        is_optional=True,
    )


def forget(
    where: Where,
    *,
    after: int | None = None,
    seq: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Removed]:
    """Removes all messages of a chat, those after a number, or one.

    Raises NotFound, Stale, IllegalState."""
    return Request(
        "FORGET",
        (names.address(where),),
        change({"after": _int(after), "seq": _int(seq)}, token=token, turn=turn, req=req, as_=as_),
        read=results.reader(results.Removed),
    )


def amend(
    where: Where,
    message: Json,
    *,
    seq: int,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Replaces the message of a number in its place.

    Raises NotFound if it is gone, Stale, IllegalState."""
    return Request(
        "AMEND",
        (names.address(where),),
        change({"seq": _int(seq)}, token=token, turn=turn, req=req, as_=as_),
        _object(message),
        read=results.nothing,
    )


def apply(
    where: Where,
    changes: Json,
    *,
    seq: int | None = None,
    rev: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Applied]:
    """Makes several changes of a session in one step, all or none of them.

    `changes` has the members `say`, `set`, `put` (documents by their keys), `drop` (keys), `phase`
    and `step`, each of which may be missing. With `seq` only if that is the number of the newest
    message, with `rev` as for `set`. Raises NotFound, Stale, IllegalState, Quota."""
    return Request(
        "APPLY",
        (names.address(where),),
        change({"seq": _int(seq), "rev": _int(rev)}, token=token, turn=turn, req=req, as_=as_),
        _object(changes),
        read=results.reader(results.Applied),
    )


# --- documents -------------------------------------------------------------------------------


def put(
    where: Where,
    key: str,
    value: Json | Sequence[Any] | str,
    *,
    ttl: Duration | None = None,
    if_: str | None = None,
    rev: int | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Written]:
    """Writes a document of a session under a key, any text.

    `ttl` is the time for which it is kept. With `if_` only if it is `absent`, or `present`; with
    `rev` only if that is its revision, 0 if there is none. Raises NotFound, Stale, IllegalState,
    Quota."""
    options = {"ttl": _time(ttl), "if": _text(if_), "rev": _int(rev)}
    return Request(
        "PUT",
        (names.address(where), names.word(key)),
        change(options, token=token, turn=turn, req=req, as_=as_),
        names.dump(value),
        read=results.reader(results.Written),
    )


def take(where: Where, *key: str, as_: str | None = None) -> Request[results.Documents]:
    """Documents by their keys, in one snapshot; None for one that is not there.

    Raises NotFound if there is no session."""
    return Request(
        "TAKE",
        (names.address(where), *(names.word(one) for one in key)),
        {"as": _id(as_)},
        read=results.documents,
    )


def drop(
    where: Where,
    *key: str,
    prefix: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Removed]:
    """Removes documents by their keys, or all whose keys begin with a prefix.

    Raises NotFound, Stale, IllegalState."""
    return Request(
        "DROP",
        (names.address(where), *(names.word(one) for one in key)),
        change({"prefix": _text(prefix)}, token=token, turn=turn, req=req, as_=as_),
        read=results.reader(results.Removed),
    )


def keys(
    where: Where,
    *,
    prefix: str | None = None,
    from_: str | None = None,
    to: str | None = None,
    newest: bool | None = None,
    values: bool | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    as_: str | None = None,
) -> Request[results.DocumentPage]:
    """A page of documents in the order of their keys: those with a prefix, from one key on, up to
    but without another.

    `newest` begins with the greatest key, `values` shows the values. `cursor` is that of the page
    before. Raises NotFound if there is no session."""
    options = {
        "prefix": _text(prefix),
        "from": _text(from_),
        "to": _text(to),
        "newest": _flag(newest),
        "values": _flag(values),
        "limit": _int(limit),
        "cursor": _text(cursor),
        "as": _id(as_),
    }
    return Request("KEYS", (names.address(where),), options, read=results.document_page)


# --- events ----------------------------------------------------------------------------------


def events(
    device: str | All,
    *,
    after: str | None = None,
    group: str | None = None,
    limit: int | None = None,
    wait: Duration | None = None,
    types: str | Sequence[str] | None = None,
    as_: str | None = None,
) -> Request[results.Events]:
    """A page of a device's event log; or with `ALL` and `group`, events for this consumer.

    `wait` is how long to wait for an event if there is none. Raises Stale if `after` is not from
    this log."""
    return Request(
        "EVENTS",
        (_device(device),),
        {
            "after": _text(after),
            "group": _id(group),
            "limit": _int(limit),
            "wait": _time(wait),
            "types": _words(types),
            "as": _id(as_),
        },
        read=results.events,
        wait_s=0.0 if wait is None else names.seconds(wait),
    )


def ack(group: str, *ids: str) -> Request[results.Acknowledged]:
    """Acknowledges up to 1,000 events of a group."""
    return Request(
        "ACK",
        (encode_id(group), *(names.word(one) for one in ids)),
        read=results.reader(results.Acknowledged),
    )


def hook(
    name: str,
    url: str,
    *,
    secret: str | None = None,
    types: str | Sequence[str] | None = None,
    devices: str | None = None,
) -> Request[None]:
    """Has the workers POST each event to `url`, until it answers with 2xx; for operators.

    Each request is signed with `secret`, if there is one. `types` selects types of events, and
    `devices` devices by a pattern such as `"eu-*"`. A hook of the same name is replaced, and goes
    on where it was. Raises Quota."""
    return Request(
        "HOOK",
        (encode_id(name),),
        {
            "url": _text(url),
            "secret": _text(secret),
            "types": _words(types),
            "devices": _text(devices),
        },
        read=results.nothing,
    )


def hooks() -> Request[results.Hooks]:
    """The hooks of the fleet, and how far each is behind; for operators."""
    return Request("HOOKS", (), read=results.hooks)


def unhook(name: str) -> Request[None]:
    """Ends a hook; what it has not delivered is forgotten. Raises NotFound."""
    return Request("UNHOOK", (encode_id(name),), read=results.nothing)


def tell(where: Where, kind: str, payload: Json, *, as_: str | None = None) -> Request[None]:
    """Pushes an event `custom.<kind>` of your own to those who watch with `changes`.

    It is kept nowhere. Raises NotFound if the session or the chat is not there."""
    return Request(
        "TELL",
        (names.address(where), encode_id(kind)),
        {"as": _id(as_)},
        payload=names.dump(dict(payload)),
        read=results.nothing,
    )


# --- reports and backup ----------------------------------------------------------------------


def stats() -> Request[dict[str, Any]]:
    """Statistics of the whole fleet."""
    return Request("STATS", read=results.stats)


def report(
    where: Where | None = None,
    *,
    user: str | None = None,
    agent: str | None = None,
    as_: str | None = None,
) -> Request[dict[str, Any]]:
    """Figures of one session, chat, user or agent. Raises NotFound."""
    return Request(
        "REPORT",
        () if where is None else (names.address(where),),
        {"user": _id(user), "agent": _id(agent), "as": _id(as_)},
        read=results.any_object,
    )


def export(where: Where, *, sealed: bool | None = None, as_: str | None = None) -> Request[str]:
    """A session with its chats and messages as the text of one JSON object. Raises NotFound.

    With `sealed` its sealed values are as they are in Redis."""
    return Request(
        "EXPORT",
        (names.address(where),),
        {"sealed": _flag(sealed), "as": _id(as_)},
        read=results.raw,
    )


def import_(
    exported: str,
    *,
    replace: bool | None = None,
    as_new: bool | None = None,
    user: str | None = None,
    token: int | None = None,
    turn: int | None = None,
    req: str | None = None,
) -> Request[results.Record]:
    """Creates a session from what `export` returned, byte for byte; with `as_new` under a new id.

    `user`: it is linked to this one besides its own links.
    Raises Stale; IllegalState if it exists already and `replace` is not true."""
    if "\n" in exported or "\r" in exported:
        raise ValueError("an export is one line")
    return Request(
        "IMPORT",
        (),
        change(
            {"replace": _flag(replace), "as-new": _flag(as_new), "user": _id(user)},
            token=token,
            turn=turn,
            req=req,
        ),
        exported,
        read=results.reader(results.Record),
    )


def copy(
    where: Where,
    device: str,
    *,
    user: str | None = None,
    req: str | None = None,
    as_: str | None = None,
) -> Request[results.Record]:
    """Makes a session again under a new id, with its chats, messages and documents.

    `user`: it is linked to this one, and not to those of the original.
    Raises NotFound, Quota."""
    return Request(
        "COPY",
        (names.address(where), encode_id(device)),
        change({"user": _id(user)}, token=None, req=req, as_=as_),
        read=results.reader(results.Record),
    )


# --- the connection --------------------------------------------------------------------------


def ping() -> Request[None]:
    """Shows that a worker answers; does not ask Redis."""
    return Request("PING", read=results.nothing)


def info() -> Request[dict[str, Any]]:
    """The worker's version and id, and the state of its connection to Redis."""
    return Request("INFO", read=results.any_object)


def help(verb: str | None = None) -> Request[dict[str, Any]]:
    """The worker's verbs, or how one is written."""
    return Request("HELP", () if verb is None else (names.word(verb),), read=results.any_object)


def watch(
    device: str | All,
    *,
    types: str | Sequence[str] | None = None,
    changes: bool | None = None,
    after: str | None = None,
    as_: str | None = None,
) -> Request[None]:
    """Subscribes a connection to the events of a device, or of all with `ALL`.

    With `changes` also to what is in no log; `after` is the event after which to begin."""
    return Request(
        "WATCH",
        (_device(device),),
        {
            "types": _words(types),
            "changes": _flag(changes),
            "after": _text(after),
            "as": _id(as_),
        },
        read=results.nothing,
    )


__all__ = ["ALL", "Address", "All", "Where"]
