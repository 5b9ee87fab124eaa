"""A function that adds a message to a device's conversation, if its agent owns the device.

Its connection outlives an invocation, as everything at module scope does while the platform keeps
the process. In between the process may be frozen, and the connection may end unnoticed.
"""

import json, os, re, select, socket, time

HOST, _, PORT = os.environ.get("LATCHKEY_TO", "127.0.0.1:5282").rpartition(":")
SECRET = os.environ.get("LATCHKEY_SECRET")  # where workers require one
AGENT = os.environ.get("LATCHKEY_AGENT", "scheduling")
REPLY_S = float(os.environ.get("LATCHKEY_REPLY_S", "1"))  # more than --request-timeout
IDLE_S = 60.0  # less than what a network between forgets, and than --idle-timeout
TRIES = 3
# Other bytes would break the request line; urllib.parse.quote(text, safe="") encodes any text.
# A name has 512 bytes at most; the suffixes of req= need some of them.
NAME = re.compile(r"[0-9A-Za-z._:@+%~!*'()-]{1,500}")
AGAIN = {"unavailable", "unknown_outcome", "overloaded", "draining"}
connection, replies, used_at = None, None, 0.0


class Answer(Exception):
    """A reply other than OK: its word, and the rest."""


class Unknown(Exception):
    """The outcome is unknown: send the same event again to learn it."""


def drop():
    global connection
    if connection:
        replies.close()
        connection.close()
    connection = None


def exchange(line):
    connection.sendall(line.encode() + b"\n")
    reply = replies.readline()
    if not reply.endswith(b"\n"):
        raise ConnectionResetError("closed before the reply")
    word, _, rest = reply[:-1].decode().partition(" ")
    return word, rest


def connect():
    """Keeps the connection, unless it was idle for long, or has something to read: its end."""
    global connection, replies
    is_idle = time.time() - used_at > IDLE_S
    if connection and (is_idle or select.select([connection], [], [], 0)[0]):
        drop()
    if not connection:
        # The time-out of reads too.
        connection = socket.create_connection((HOST, int(PORT)), REPLY_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = connection.makefile("rb")
        if SECRET and (answer := exchange(f"AUTH {json.dumps(SECRET)}"))[0] != "OK":
            drop()
            raise Answer(*answer)


def ask(line):
    """The body of an OK. Tries again while that can help, so a line may come twice."""
    global used_at
    is_unknown = False
    for tried in range(TRIES):
        time.sleep(0.1 * tried)
        try:
            connect()
            word, rest = exchange(line)
        except OSError as error:  # refused, reset, closed, or out of time
            is_unknown |= not isinstance(error, ConnectionRefusedError)
            drop()  # its next line would be the answer to this request
            continue
        used_at = time.time()
        if word == "OK":
            return json.loads(rest or "{}")
        code = rest.partition(" ")[0] if word == "ERR" else ""
        if code not in AGAIN:
            raise Answer(word, rest)
        is_unknown |= code == "unknown_outcome"
        drop()  # the next one may lead to another worker
    raise Unknown() if is_unknown else Answer("ERR", "unavailable no worker can serve")


def handler(event, context=None):
    """`event` has an id that is the same when the platform sends it again, a device, a message."""
    device, req = event["device"], event["id"]
    if not all(NAME.fullmatch(str(name)) for name in (device, req)):
        return {"status": "err", "detail": "device and id: 1 to 500 of what encodeURIComponent makes"}
    try:
        # These two do the same each time: the agent's own lock is renewed, the session recovered.
        lock = ask(f"LOCK {device} {AGENT} ttl=15m")
        session = ask(f"RECOVER {device} token={lock['token']}")
        place = f"{device}/{session['session']} token={lock['token']} req={req}"
        said = ask(f"SAY {place} {json.dumps(event['message'])}")
        return {"status": "said", "seq": said["seq"]}
    except Answer as answer:
        if answer.args[1].startswith("conflict "):
            # An earlier delivery has said it, under another lock or in another session.
            return {"status": "said"}
        # Held by another agent, stale, an error: the same event may succeed later.
        return {"status": answer.args[0].lower(), "detail": answer.args[1]}
    except Unknown:  # have the platform send the event again: what was done is not done twice
        return {"status": "unknown"}
