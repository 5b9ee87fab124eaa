"""The session service for Google's ADK, with the real framework and a real worker.

The first part is the contract of a session service, as the framework's own services keep it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Any

import pytest
from chaos import assert_turns, counted, killing, page, run
from conftest import Fleet
from google.adk.agents import BaseAgent
from google.adk.errors._stale_session_error import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from latchkey import AsyncClient, Quota
from latchkey.adk import LatchkeySessionService
from latchkey.testing import Worker


def event(text: str = "hi", at: float | None = None, **state: Any) -> Event:
    delta = {name.replace("_", ":", 1): value for name, value in state.items()}
    made = Event(
        author="user",
        invocation_id="i",
        content=types.Content(role="user", parts=[types.Part(text=text)]),
        actions=EventActions(state_delta=delta),
    )
    if at is not None:
        made.timestamp = at
    return made


def texts(session: Any) -> list[str]:
    return [one.content.parts[0].text for one in session.events]


def of(session: Any) -> dict[str, str]:
    return {"app_name": session.app_name, "user_id": session.user_id, "session_id": session.id}


@pytest.fixture(params=["latchkey", "in memory"])
def contract(request: pytest.FixtureRequest, latchkey_worker: Worker) -> Any:
    """Runs a test of the contract with a service: ours, and the framework's own as a check of the
    test. Its argument is the name of an app of the test's own."""

    def contract(test: Any) -> None:
        async def main() -> None:
            app = f"app/ü:{uuid.uuid4()}"
            if request.param == "in memory":
                await test(InMemorySessionService(), app)
                return
            async with AsyncClient(latchkey_worker.to) as client:
                await test(LatchkeySessionService(client), app)

        run(main)

    return contract


def test_sessions_are_created_once(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        state = {"a": 1, "none": None, "app:b": 2, "user:c": 3, "temp:d": 4}
        made = await service.create_session(
            app_name=app, user_id="u/1", state=state, session_id="  s/ü 1 "
        )
        assert (made.app_name, made.user_id, made.id) == (app, "u/1", "s/ü 1")
        assert made.events == []
        assert made.state == {"a": 1, "none": None, "app:b": 2, "user:c": 3}
        with pytest.raises(AlreadyExistsError):
            await service.create_session(app_name=app, user_id="u/1", session_id="s/ü 1")
        assert (await service.get_session(**of(made))).state == made.state
        for other in ({"user_id": "u/2"}, {"session_id": "s"}, {"app_name": f"{app}2"}):
            assert await service.get_session(**{**of(made), **other}) is None
        first, second = [
            await service.create_session(app_name=app, user_id="u/1") for _ in range(2)
        ]
        assert first.id and first.id != second.id
        await service.delete_session(**of(made))
        await service.delete_session(**of(made))
        assert await service.get_session(**of(made)) is None
        made = await service.create_session(app_name=app, user_id="u/1", session_id="s/ü 1")
        assert made.state == {"app:b": 2, "user:c": 3}  # which outlive the session

    contract(test)


def test_events_and_state_are_kept(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        made = await service.create_session(app_name=app, user_id="u", state={"gone": 1})
        for n in range(5):
            said = await service.append_event(made, event(f"{n}", at=1000.5 + n, k=n, gone=None))
            assert said.content.parts[0].text == f"{n}"
        assert texts(made) == ["0", "1", "2", "3", "4"]
        assert made.state == {"k": 4, "gone": None}
        found = await service.get_session(**of(made))
        assert [one.model_dump() for one in found.events] == [
            one.model_dump() for one in made.events
        ]
        assert found.state == made.state
        assert found.last_update_time == made.last_update_time == 1004.5
        # A change of what was returned changes nothing that is kept.
        found.events.clear()
        found.state["k"] = 9
        assert len((await service.get_session(**of(made))).events) == 5

    contract(test)


def test_events_are_chosen(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        made = await service.create_session(app_name=app, user_id="u")
        for n in range(6):
            await service.append_event(made, event(f"{n}", at=1000.0 + n))

        async def chosen(**config: Any) -> list[str]:
            return texts(await service.get_session(**of(made), config=GetSessionConfig(**config)))

        assert await chosen(num_recent_events=2) == ["4", "5"]
        assert await chosen(num_recent_events=0) == []
        assert await chosen(num_recent_events=99) == ["0", "1", "2", "3", "4", "5"]
        assert await chosen(after_timestamp=1003.0) == ["3", "4", "5"]
        assert await chosen(after_timestamp=1001.0, num_recent_events=2) == ["4", "5"]
        assert await chosen(after_timestamp=9999.0) == []
        # An append to a session without its older events is no stale one.
        part = await service.get_session(**of(made), config=GetSessionConfig(num_recent_events=0))
        await service.append_event(part, event("6", at=1006.0))
        assert len((await service.get_session(**of(made))).events) == 7

    contract(test)


def test_partial_events_and_temporary_state_are_not_kept(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        made = await service.create_session(app_name=app, user_id="u")
        partial = event("partial", k=1)
        partial.partial = True
        await service.append_event(made, partial)
        assert made.events == [] and made.state == {}
        await service.append_event(made, event("a", temp_x=1, k=2))
        assert made.state == {"temp:x": 1, "k": 2}
        found = await service.get_session(**of(made))
        assert found.state == {"k": 2}
        assert found.events[0].actions.state_delta == {"k": 2}

    contract(test)


def test_state_of_app_and_user_is_shared(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        ada, ada2, bob = [
            await service.create_session(app_name=app, user_id=user)
            for user in ("ada", "ada", "bob")
        ]
        await service.append_event(ada, event(app_a=1, user_b=2, c=3))
        await service.append_event(bob, event(app_d=None, user_b=9))
        assert (await service.get_session(**of(ada2))).state == {
            "app:a": 1, "app:d": None, "user:b": 2,
        }  # fmt: skip
        assert (await service.get_session(**of(bob))).state == {
            "app:a": 1, "app:d": None, "user:b": 9,
        }  # fmt: skip
        assert await service.get_user_state(app_name=app, user_id="ada") == {"b": 2}
        assert await service.get_user_state(app_name=app, user_id="none") == {}
        assert (await service.create_session(app_name=f"{app}2", user_id="ada")).state == {}

    contract(test)


def test_lists_have_the_latest_last(contract: Any) -> None:
    async def test(service: Any, app: str) -> None:
        made = [
            await service.create_session(app_name=app, user_id=user, state={"n": n, "user:u": user})
            for n, user in enumerate(("ada", "bob", "ada", "bob"))
        ]
        for at, n in enumerate((2, 0, 3, 1)):
            await service.append_event(made[n], event(at=5e9 + at))
        listed = (await service.list_sessions(app_name=app)).sessions
        assert [one.state["n"] for one in listed] == [2, 0, 3, 1]
        assert [one.state["user:u"] for one in listed] == ["ada", "ada", "bob", "bob"]
        assert [one.last_update_time for one in listed] == [5e9 + n for n in range(4)]
        assert not [one for one in listed if one.events]
        listed = (await service.list_sessions(app_name=app, user_id="bob")).sessions
        assert [one.id for one in listed] == [made[3].id, made[1].id]
        assert (await service.list_sessions(app_name=f"{app}2")).sessions == []

    contract(test)


def test_a_stale_or_unknown_session_is_refused(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            service = LatchkeySessionService(client)
            made = await service.create_session(app_name="a", user_id=str(uuid.uuid4()))
            stale = await service.get_session(**of(made))
            listed = (await service.list_sessions(app_name="a", user_id=made.user_id)).sessions[0]
            await service.append_event(made, event("1", user_x=1, k=1))
            with pytest.raises(StaleSessionError, match="superseded"):
                await service.append_event(stale, event("2", user_x=2, app_x=2, k=2))
            found = await service.get_session(**of(made))
            assert texts(found) == ["1"]
            assert found.state == {"user:x": 1, "k": 1}
            await service.append_event(found, event("3"))
            # A session of a list has no events that could be superseded.
            await service.append_event(listed, event("4"))
            await service.delete_session(**of(made))
            with pytest.raises(SessionNotFoundError):
                await service.append_event(found, event("5"))
            assert await service.get_session(**of(made)) is None

    run(main)


def test_odd_state_is_kept_as_text(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            service = LatchkeySessionService(client)
            made = await service.create_session(
                app_name="a",
                user_id=str(uuid.uuid4()),
                state={"at": datetime(2026, 1, 1), "odd": object, "deep": {"none": None}},
            )
            found = await service.get_session(**of(made))
            assert found.state["at"] == "2026-01-01T00:00:00"
            assert "object" in found.state["odd"]
            assert found.state["deep"] == {"none": None}

    run(main)


def test_a_turn_may_come_before_the_session(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            service = LatchkeySessionService(client)
            name = {"app_name": "a", "user_id": str(uuid.uuid4()), "session_id": "s"}
            async with service.aturn(tuple(name.values())):
                assert await service.get_session(**name) is None
                results = await asyncio.gather(
                    *(service.create_session(**name, state={"n": n}) for n in range(5)),
                    return_exceptions=True,
                )
                failed = [one for one in results if isinstance(one, AlreadyExistsError)]
                (made,) = [one for one in results if not isinstance(one, BaseException)]
                assert len(failed) == 4
                await service.append_event(made, event("1"))
            found = await service.get_session(**name)
            assert (texts(found), found.state) == (["1"], made.state)

    run(main)


@pytest.mark.parametrize("is_begun_by_a_turn", [False, True])
def test_a_long_session_has_several_chats(tmp_path: Any, is_begun_by_a_turn: bool) -> None:
    async def main(to: str) -> None:
        async with AsyncClient(to) as client:
            service = LatchkeySessionService(client)
            if is_begun_by_a_turn:
                await (await client.turn(service.device(("a", "u", "s")))).done()
            made = await service.create_session(app_name="a", user_id="u", session_id="s")
            for n in range(20):
                if n in (4, 10, 15):
                    made = await service.get_session(**of(made))
                    stale = await service.get_session(**of(made))
                await service.append_event(made, event(f"{n}", at=100.0 + n, k=n))
                if n in (4, 10, 15):
                    with pytest.raises(StaleSessionError):
                        await service.append_event(stale, event("stale"))
            # Of two that meet the end of a chat, one goes on in another.
            both = [await service.get_session(**of(made)) for _ in range(2)]
            results = await asyncio.gather(
                *(service.append_event(one, event(f"{20 + n}")) for n, one in enumerate(both)),
                return_exceptions=True,
            )
            assert sorted(isinstance(one, StaleSessionError) for one in results) == [False, True]
            listed = (await service.list_sessions(app_name="a")).sessions[0]
            await service.append_event(listed, event("22"))
            found = await service.get_session(**of(made))
            assert texts(found)[:20] == [f"{n}" for n in range(20)]
            assert len(found.events) == 22
            assert found.state == {"k": 19}
            for count in (0, 1, 2, 5, 13, 22, 99):
                config = GetSessionConfig(num_recent_events=count)
                some = await service.get_session(**of(made), config=config)
                assert texts(some) == (texts(found)[-count:] if count else [])
            config = GetSessionConfig(after_timestamp=112.0, num_recent_events=9)
            some = await service.get_session(**of(made), config=config)
            assert texts(some) == texts(found)[13:]
            with pytest.raises(Quota, match="fields"):
                await service.append_event(found, event("x", **{f"k{n}": n for n in range(200)}))
            for n in range(18):
                await service.append_event(found, event(f"{n}"))
            with pytest.raises(Quota, match="chats"):
                for n in range(11):
                    await service.append_event(found, event(f"{n}", j=1))
            again = await service.get_session(**of(made))
            assert again.events == [one for one in found.events if one in again.events]
            assert len(again.events) == (40 if is_begun_by_a_turn else 50)

    with Worker(tmp_path, options=["--max-messages", "10", "--max-chats", "5"]) as worker:
        run(lambda: main(worker.to))


def test_calls_take_few_trips(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            service = LatchkeySessionService(client)
            made = await service.create_session(app_name="trips", user_id="u")
            for most, said in (
                (1, event(k=1, temp_x=1)), (2, event(app_a=1)), (3, event(app_a=1, user_b=1, k=2)),
            ):  # fmt: skip
                with counted() as trips:
                    await service.append_event(made, said)
                assert trips.count <= most
            with counted() as trips:
                await service.get_session(**of(made))
            assert trips.count == 1

    run(main)


def test_twenty_writers_of_shared_state_lose_nothing_while_workers_are_killed(
    fleet: Fleet,
) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            service = LatchkeySessionService(client)
            with killing(fleet, client.options, 100) as progress:

                async def write(writer: int) -> None:
                    made = await service.create_session(app_name="a", user_id="u")
                    for n in range(5):
                        await service.append_event(
                            made, event(f"{n}", **{f"user_{writer}-{n}": n, f"app_{writer}": n})
                        )
                        progress.step()

                await asyncio.gather(*(write(n) for n in range(20)))
            state = await service.get_user_state(app_name="a", user_id="u")
            assert state == {f"{writer}-{n}": n for writer in range(20) for n in range(5)}
            listed = (await service.list_sessions(app_name="a", user_id="u")).sessions
            assert len(listed) == 20
            for one in listed:
                found = await service.get_session(**of(one))
                assert texts(found) == ["0", "1", "2", "3", "4"]
                assert [found.state[f"app:{writer}"] for writer in range(20)] == [4] * 20

    run(main)


class Echo(BaseAgent):
    """An agent that answers with the text that it was sent."""

    async def _run_async_impl(self, ctx: Any) -> Any:
        text = ctx.session.events[-1].content.parts[0].text
        content = types.Content(role="model", parts=[types.Part(text=f"answer to {text}")])
        await asyncio.sleep(0)
        yield Event(author=self.name, invocation_id=ctx.invocation_id, content=content)


def test_twenty_turns_interleave_nothing_while_workers_are_killed(fleet: Fleet) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            service = LatchkeySessionService(client)
            runner = Runner(agent=Echo(name="echo"), app_name="a", session_service=service)
            made = await service.create_session(app_name="a", user_id="u")
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    content = types.Content(role="user", parts=[types.Part(text=f"q{n}")])
                    async with service.aturn(made, wait=60):
                        async for _ in runner.run_async(
                            user_id="u", session_id=made.id, new_message=content
                        ):
                            pass
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            assert_turns(texts(await service.get_session(**of(made))), 20)

    run(main)


def test_a_run_that_lost_its_turn_writes_nothing(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            service = LatchkeySessionService(client)
            made = await service.create_session(app_name="a", user_id=str(uuid.uuid4()))
            with pytest.raises(StaleSessionError):
                async with service.aturn(made):
                    await service.append_event(made, event("1"))
                    await client.turn(service.device(made), policy="interrupt")
                    await service.append_event(made, event("2"))
            assert texts(await service.get_session(**of(made))) == ["1"]

    run(main)


def test_the_page_of_the_manual(latchkey_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)

    async def main() -> None:
        names = page("frameworks/google-adk.md")
        names["agent"] = Echo(name="echo")
        user = str(uuid.uuid4())
        for text in ("hi", "ho"):
            answer = await names["handler"]({"user": user, "session": "s", "text": text})
            assert answer == f"answer to {text}"
        found = await names["service"].get_session(app_name="support", user_id=user, session_id="s")
        assert texts(found) == ["hi", "answer to hi", "ho", "answer to ho"]
        await names["service"].aclose()

    run(main)
