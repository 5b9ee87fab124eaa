"""A function that answers a message of a device's conversation, one message at a time.

Its connection outlives an invocation, as everything at module scope does while the platform keeps
the process. In between the process may be frozen, and the connection may end unnoticed.
"""

import json, os, select, socket, time
from urllib.parse import quote

HOST, _, PORT = os.environ.get("LATCHKEY_TO", "127.0.0.1:5282").rpartition(":")
SECRET = os.environ.get("LATCHKEY_SECRET")  # where workers require one
AGENT = os.environ.get("LATCHKEY_AGENT", "scheduling")
REPLY_S = float(os.environ.get("LATCHKEY_REPLY_S", "1"))  # more than --request-timeout
WAIT_S = int(os.environ.get("LATCHKEY_WAIT_S", "5"))  # for the device's other messages
IDLE_S = 60.0  # less than what a network between forgets, and than --idle-timeout
TRIES = 3
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


def exchange(line, wait_s=0):
    connection.settimeout(REPLY_S + wait_s)
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
        connection = socket.create_connection((HOST, int(PORT)), REPLY_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = connection.makefile("rb")
        if SECRET and (answer := exchange(f"AUTH {json.dumps(SECRET)}"))[0] != "OK":
            drop()
            raise Answer(*answer)


def ask(line, wait_s=0):
    """The body of an OK. Tries again while that can help, so a line may come twice."""
    global used_at
    is_unknown = False
    for tried in range(TRIES):
        time.sleep(0.1 * tried)
        try:
            connect()
            word, rest = exchange(line, wait_s)
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


def reply(messages):
    """Your agent: the message that answers the newest ones of the conversation."""
    return {"role": "assistant", "text": f"You said: {messages[-1]['message']['text']}"}


def handler(event, context=None):
    """`event` has an id that is the same when the platform sends it again, a device, a message."""
    # As encodeURIComponent does it: other bytes would break the request line.
    device, req = (quote(event[key], safe="!*'()") for key in ("device", "id"))
    try:
        options = f"agent={AGENT} wait={WAIT_S}s req={req}-turn"
        turn = ask(f"TURN {device} {options} {json.dumps(event['message'])}", WAIT_S)
        if turn["ttl_ms"] == 0:  # an earlier delivery has ended it, or it ran out with its function
            return {"status": "over", "seq": turn["seq"]}
        changes = json.dumps({"say": [reply(turn["messages"])]})
        done = ask(f"DONE {device} turn={turn['turn']} last=yes req={req}-done {changes}")
        return {"status": "answered", "seq": done["seq"]}
    except Answer as answer:
        # Busy, held by another agent, stale, an error: the same event may succeed later.
        return {"status": answer.args[0].lower(), "detail": answer.args[1]}
    except Unknown:  # have the platform send the event again: what was done is not done twice
        return {"status": "unknown"}
