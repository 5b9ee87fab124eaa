"""The retry policy, cell by cell: no socket, and a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from latchkey import Unavailable, UnknownOutcome, verbs
from latchkey.attempts import Attempts, Done, Failed, Pause, Try
from latchkey.reply import Reply
from latchkey.request import Request

WRITE: Request[Any] = verbs.touch("dev-1", req="r1")
READ: Request[Any] = verbs.get("dev-1")


def attempts(request: Request[Any] = WRITE, **options: Any) -> Attempts:
    given = {"timeout_s": 5.0, "reply_s": 1.0, "workers": 1, "jitter": 1.0, **options}
    return Attempts(request, now=100.0, **given)


def test_an_attempt_ends_with_its_own_time_or_the_deadline() -> None:
    assert attempts().begin(100.0) == Try(101.0)
    assert attempts(timeout_s=0.3).begin(100.0) == Try(100.3)


def test_the_time_that_the_worker_may_wait_is_added() -> None:
    waiting = verbs.events("dev-1", wait=20)
    assert attempts(waiting).begin(100.0) == Try(121.0)
    assert attempts(waiting, reply_s=9.0).begin(100.0) == Try(125.0)


@pytest.mark.parametrize("line", ["OK {}", "NONE", "HELD {}", "STALE {}", "ERR quota x"])
def test_a_definite_reply_ends_it(line: str) -> None:
    reply = Reply(*line.split(" ", 1)) if " " in line else Reply(line, "")
    made = attempts()
    made.begin(100.0)
    assert made.replied(100.1, reply) == Done(reply)


@pytest.mark.parametrize("code", ["unavailable", "overloaded", "draining", "unknown_outcome"])
def test_a_retryable_code_is_tried_again_after_a_pause(code: str) -> None:
    made = attempts()
    made.begin(100.0)
    assert made.replied(100.1, Reply("ERR", f"{code} text")) == Pause(0.05)
    assert made.resumed(100.15) == Try(101.15)


def test_another_worker_is_tried_at_once() -> None:
    made = attempts(workers=3)
    made.begin(100.0)
    assert isinstance(made.lost(100.1, "reset"), Try)
    assert isinstance(made.unreached(100.2, "refused"), Try)
    assert made.lost(100.3, "reset") == Pause(0.05)


def test_the_pauses_grow_up_to_a_second_and_are_spread() -> None:
    made = attempts(timeout_s=100.0)
    made.begin(100.0)
    pauses = [made.unreached(101.0, "refused") for _ in range(7)]
    assert pauses == [Pause(s) for s in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)]
    spread = attempts(jitter=0.0)
    spread.begin(100.0)
    assert spread.unreached(100.0, "refused") == Pause(0.025)


def failure(made: Attempts, step: Any) -> Any:
    assert isinstance(step, Failed)
    return step.error


def test_at_the_deadline_nothing_was_done_if_nothing_was_sent() -> None:
    made = attempts()
    made.begin(100.0)
    error = failure(made, made.unreached(104.99, "refused"))
    assert isinstance(error, Unavailable)
    assert "refused" in str(error)


def test_at_the_deadline_a_change_that_was_sent_is_unknown_and_has_its_key() -> None:
    for event in ("lost", "unknown_outcome"):
        made = attempts()
        made.begin(100.0)
        if event == "lost":
            made.lost(100.1, "reset")
        else:
            made.replied(100.1, Reply("ERR", "unknown_outcome no answer"))
        made.resumed(100.2)
        # A later attempt that could not be made does not settle it.
        error = failure(made, made.unreached(104.99, "refused"))
        assert isinstance(error, UnknownOutcome)
        assert error.req == "r1"


def test_a_read_is_never_unknown() -> None:
    made = attempts(READ)
    made.begin(100.0)
    assert isinstance(failure(made, made.lost(105.0, "reset")), Unavailable)


def test_a_pause_that_ends_behind_the_deadline_is_not_begun() -> None:
    made = attempts(timeout_s=0.04)
    made.begin(100.0)
    assert isinstance(made.lost(100.0, "reset"), Failed)
    late = attempts()
    late.begin(100.0)
    assert isinstance(late.resumed(105.0), Failed)


def test_a_rejected_secret_is_asked_for_once_more() -> None:
    rejected = Reply("ERR", "forbidden invalid secret")
    made = attempts(can_refresh=True)
    made.begin(100.0)
    assert isinstance(made.rejected(100.1, rejected), Try)
    assert made.rejected(100.2, rejected) == Done(rejected)
    fixed = attempts(can_refresh=False)
    fixed.begin(100.0)
    assert fixed.rejected(100.1, rejected) == Done(rejected)
    assert isinstance(fixed.rejected(100.1, Reply("ERR", "overloaded x")), Pause)


def test_a_missing_right_is_no_reason_for_another_secret() -> None:
    forbidden = Reply("ERR", "forbidden LIST * requires the right operate")
    made = attempts(can_refresh=True)
    made.begin(100.0)
    assert made.replied(100.1, forbidden) == Done(forbidden)
    assert isinstance(made.replied(100.1, Reply("ERR", "auth_required x")), Try)
    required = Reply("ERR", "auth_required x")
    assert made.replied(100.2, required) == Done(required)


@pytest.mark.parametrize("way", ["rejected", "replied"])
@pytest.mark.parametrize("code", ["forbidden", "auth_required"])
def test_a_refusal_before_the_key_was_looked_up_settles_nothing(way: str, code: str) -> None:
    refusal = Reply("ERR", f"{code} invalid secret")
    for first in ("lost", "unreached"):
        for request in (WRITE, READ):
            made = attempts(request)
            made.begin(100.0)
            getattr(made, first)(100.1, "reset")
            made.resumed(100.2)
            step = getattr(made, way)(100.3, refusal)
            if first == "lost" and request is WRITE:
                error = failure(made, step)
                assert isinstance(error, UnknownOutcome)
                assert error.req == "r1"
                assert "invalid secret" in str(error)
            else:
                assert step == Done(refusal)
    # What Redis has said of the key is definite.
    made = attempts()
    made.begin(100.0)
    made.lost(100.1, "reset")
    assert isinstance(made.replied(100.2, Reply("ERR", "quota x")), Done)


def test_a_read_before_a_lost_change_does_not_hide_it() -> None:
    made = Attempts(READ, WRITE, now=100.0, timeout_s=5.0, reply_s=1.0, workers=1, jitter=1.0)
    made.begin(100.0)
    error = failure(made, made.received(105.0, [], "reset"))
    assert isinstance(error, UnknownOutcome)
    assert (error.req, str(error)[:5]) == ("r1", "TOUCH")
    # The change that has its reply is settled.
    made = Attempts(WRITE, READ, now=100.0, timeout_s=5.0, reply_s=1.0, workers=1, jitter=1.0)
    made.begin(100.0)
    step = made.received(105.0, [Reply("OK", "{}")], "reset")
    assert isinstance(failure(made, step), Unavailable)


def test_a_request_is_the_same_line_each_time() -> None:
    request = verbs.say("dev 1", {"a": 1})
    assert request.line() == request.line()
    assert request.req
    assert verbs.say("dev 1", {"a": 1}).req != request.req


def test_the_error_names_the_last_failure_that_the_deadline_did_not_make() -> None:
    made = attempts(READ, timeout_s=1.0)
    made.begin(100.0)
    made.unreached(100.5, "the certificate is another's")
    step = made.unreached(101.0, "no connection in time")
    assert isinstance(step, Failed)
    assert "certificate" in str(step.error)
    made = attempts(READ, timeout_s=1.0)
    made.begin(100.0)
    step = made.unreached(101.0, "no connection in time")
    assert isinstance(step, Failed)
    assert "in time" in str(step.error)
