"""The verbs of a client and of a session, one row each."""

from __future__ import annotations

from . import verbs
from .asking import SessionVerb, Verb


class Verbs:
    """The verbs that both clients have. `lock`, `turn` and `watch` are the clients' own."""

    renew = Verb(verbs.renew)
    unlock = Verb(verbs.unlock)
    handoff = Verb(verbs.handoff)
    seize = Verb(verbs.seize)
    clear = Verb(verbs.clear)
    holder = Verb(verbs.holder)
    done = Verb(verbs.done)
    open = Verb(verbs.open)
    get = Verb(verbs.get)
    get_chat = Verb(verbs.get_chat)
    set = Verb(verbs.set)
    set_chat = Verb(verbs.set_chat)
    touch = Verb(verbs.touch)
    pause = Verb(verbs.pause)
    resume = Verb(verbs.resume)
    close_session = Verb(verbs.close)
    recover = Verb(verbs.recover)
    archive = Verb(verbs.archive)
    delete = Verb(verbs.delete)
    link = Verb(verbs.link)
    unlink = Verb(verbs.unlink)
    list = Verb(verbs.list)
    chat = Verb(verbs.chat)
    switch = Verb(verbs.switch)
    chats = Verb(verbs.chats)
    say = Verb(verbs.say)
    history = Verb(verbs.history)
    pop = Verb(verbs.pop)
    forget = Verb(verbs.forget)
    events = Verb(verbs.events)
    ack = Verb(verbs.ack)
    stats = Verb(verbs.stats)
    report = Verb(verbs.report)
    export = Verb(verbs.export)
    import_ = Verb(verbs.import_)
    ping = Verb(verbs.ping)
    info = Verb(verbs.info)
    help = Verb(verbs.help)


class SessionVerbs:
    """The verbs that a session has: those with an address, without it."""

    get = SessionVerb(verbs.get)
    get_chat = SessionVerb(verbs.get_chat)
    set = SessionVerb(verbs.set)
    set_chat = SessionVerb(verbs.set_chat)
    touch = SessionVerb(verbs.touch)
    pause = SessionVerb(verbs.pause)
    resume = SessionVerb(verbs.resume)
    close = SessionVerb(verbs.close)
    recover = SessionVerb(verbs.recover)
    archive = SessionVerb(verbs.archive)
    delete = SessionVerb(verbs.delete)
    link = SessionVerb(verbs.link)
    unlink = SessionVerb(verbs.unlink)
    chat = SessionVerb(verbs.chat)
    switch = SessionVerb(verbs.switch)
    chats = SessionVerb(verbs.chats)
    say = SessionVerb(verbs.say)
    history = SessionVerb(verbs.history)
    pop = SessionVerb(verbs.pop)
    forget = SessionVerb(verbs.forget)
    report = SessionVerb(verbs.report)
    export = SessionVerb(verbs.export)
