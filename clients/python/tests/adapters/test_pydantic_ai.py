"""The history and the step store for Pydantic AI, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from chaos import assert_turns, counted, in_threads, killing, page, run
from conftest import Fleet
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import FunctionModel
from pydantic_ai_harness.step_persistence import (
    ContinuableSnapshot,
    InMemoryStepStore,
    RunRecord,
    StepEvent,
    StepPersistence,
    StepStore,
    ToolEffectRecord,
    continue_run,
)

from latchkey import AsyncClient, Client, Stale
from latchkey.pydantic_ai import LatchkeyHistory, LatchkeyStepStore
from latchkey.testing import Worker

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)

_MADE: list[Any] = [
    ModelRequest([
        SystemPromptPart("é\n", timestamp=NOW),
        UserPromptPart(["x", BinaryContent(b"\0\xff", media_type="image/png")], timestamp=NOW),
    ]),
    ModelResponse([
        ThinkingPart("hm"), TextPart("y"), ToolCallPart("t", {"a": [None]}, tool_call_id="1"),
    ], timestamp=NOW, model_name="m"),
    ModelRequest([ToolReturnPart("t", {"b": 1.5}, tool_call_id="1", timestamp=NOW)]),
]  # fmt: skip

# The framework reads an image as a class of its own: what it once has read stays as it is.
HISTORY = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(_MADE))


def echo(messages: Any, info: Any) -> ModelResponse:
    prompts = [p for m in messages for p in m.parts if isinstance(p, UserPromptPart)]
    return ModelResponse([TextPart(f"answer to {prompts[-1].content}")])


def agent(**options: Any) -> Agent:
    return Agent(FunctionModel(echo), **options)


def texts(messages: Any) -> list[str]:
    return [
        part.content
        for message in messages
        for part in message.parts
        if isinstance(part, (UserPromptPart, TextPart))
    ]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"ü/{request.node.name} {uuid.uuid4()}"


@pytest.fixture
def client(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield client


def test_messages_come_back_as_they_were(client: Client, name: str) -> None:
    history = LatchkeyHistory(name, client)
    assert history.load() == []
    history.append([])
    history.append(HISTORY)
    assert history.load() == HISTORY
    assert history.load(last=1) == HISTORY[2:]
    history.replace(HISTORY[:1])
    assert history.load() == HISTORY[:1]
    history.clear()
    assert history.load() == []

    async def main() -> None:
        async with AsyncClient(str(client.options.endpoints.current)) as other:
            history = LatchkeyHistory(name, async_client=other)
            await history.aappend(HISTORY)
            await history.aappend(HISTORY)
            await history.areplace(HISTORY)
            assert await history.aload() == HISTORY
            await history.aclear()
            assert await history.aload() == []

    run(main)


def test_an_agent_goes_on_where_it_was(client: Client, name: str) -> None:
    history = LatchkeyHistory(name, client, chat="@side", user="ada")
    for question in ("a", "b"):
        result = agent().run_sync(question, message_history=history.load())
        history.append(result.new_messages())
    assert texts(history.load()) == ["a", "answer to a", "b", "answer to b"]
    assert history.load() == result.all_messages()


def test_calls_take_one_trip(client: Client, name: str) -> None:
    history = LatchkeyHistory(name, client)
    history.append(HISTORY)
    for call in (lambda: history.append(HISTORY), history.load, lambda: history.replace(HISTORY)):
        with counted() as trips:
            call()
        assert trips.count == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_turns_interleave_nothing_while_workers_are_killed(
    fleet: Fleet, name: str, kind: str
) -> None:
    def blocking() -> None:
        with Client(fleet.to, timeout=20) as client:
            history = LatchkeyHistory(name, client)
            with killing(fleet, client.options, 20) as progress:

                def turn(n: int) -> None:
                    with history.turn(wait=60):
                        result = agent().run_sync(f"q{n}", message_history=history.load())
                        history.append(result.new_messages())
                    progress.step()

                in_threads(turn)
            assert_turns(texts(history.load()), 20)

    async def awaiting() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            history = LatchkeyHistory(name, async_client=client)
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    async with history.aturn(wait=60):
                        result = await agent().run(f"q{n}", message_history=await history.aload())
                        await history.aappend(result.new_messages())
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            assert_turns(texts(await history.aload()), 20)

    if kind == "sync":
        blocking()
    else:
        run(awaiting)


def test_twenty_writers_lose_and_double_nothing_while_workers_are_killed(
    fleet: Fleet, name: str
) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            history, store = LatchkeyHistory(name, async_client=client), LatchkeyStepStore(client)
            with killing(fleet, client.options, 200) as progress:

                async def write(writer: int) -> None:
                    for n in range(10):
                        said = [ModelRequest([UserPromptPart(f"{writer}-{n}")])]
                        await history.aappend(said)
                        key = f"{n}:{writer}"
                        for _ in range(2):  # as a run that is repeated does
                            await store.append_event(
                                StepEvent(
                                    run_id="r",
                                    kind="run_started",
                                    step_index=n,
                                    idempotency_key=key,
                                )
                            )
                        progress.step()

                await asyncio.gather(*(write(n) for n in range(20)))
            names = sorted(f"{writer}-{n}" for writer in range(20) for n in range(10))
            assert sorted(texts(await history.aload())) == names
            events = await store.list_events(run_id="r")
            assert len(events) == len({one.idempotency_key for one in events}) == 200

    run(main)


def test_a_run_that_lost_its_turn_writes_nothing(client: Client, name: str) -> None:
    history = LatchkeyHistory(name, client)
    with pytest.raises(Stale), history.turn():
        history.append(HISTORY)
        client.turn(name, policy="interrupt").done()
        with pytest.raises(Stale):
            history.clear()
        history.append(HISTORY)
    assert history.load() == HISTORY


def test_the_step_store_answers_as_the_framework_s_own(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            own, store = InMemoryStepStore(), LatchkeyStepStore(client, name=str(uuid.uuid4()))
            assert isinstance(store, StepStore)

            async def both(method: str, *args: Any, **kwargs: Any) -> None:
                results = [await getattr(one, method)(*args, **kwargs) for one in (own, store)]
                assert results[0] == results[1], (method, args, kwargs)

            runs = [
                RunRecord(
                    run_id=f"run/{n} ü",
                    conversation_id=f"c/{n % 2}" if n else None,
                    parent_run_id="run/0 ü" if n > 2 else None,
                    metadata={"é": "x"},
                    started_at=NOW + timedelta(seconds=10 - n),
                )
                for n in range(5)
            ]
            run = runs[0].run_id
            for call, arguments in (
                ("get_run", {"run_id": run}), ("list_runs", {}), ("list_events", {"run_id": run}),
                ("latest_snapshot", {"run_id": run}), ("list_snapshots", {"run_id": run}),
                ("list_unresolved_tool_effects", {"run_id": run}),
                ("get_tool_effect", {"run_id": run, "tool_call_id": "t"}),
            ):  # fmt: skip
                await both(call, **arguments)
            for record in [*runs, runs[0]]:
                await both("register_run", record)
            await both("get_run", run_id=run)
            for chosen in (
                {}, {"conversation_id": "c/1"}, {"parent_run_id": run},
                {"conversation_id": "c/0", "parent_run_id": run}, {"conversation_id": "none"},
            ):  # fmt: skip
                await both("list_runs", **chosen)
            for n, key in enumerate(("a", "b", "a", None, None)):
                kind: Any = "tool_call_started"
                event = StepEvent(
                    run_id=run, kind=kind, step_index=n, timestamp=NOW, idempotency_key=key,
                    error="e", metadata={"k": "v"},
                )  # fmt: skip
                await both("append_event", event)
            await both("list_events", run_id=run)
            for n, (key, state) in enumerate(
                [(None, "interrupted"), ("1:a", "complete"), ("2:b", "complete"),
                 ("1:a", "complete"), (None, "interrupted"), (None, "interrupted")]
            ):  # fmt: skip
                snapshot = ContinuableSnapshot(
                    run_id=run, step_index=n, messages=HISTORY, timestamp=NOW, state=state,
                    idempotency_key=key,
                )  # fmt: skip
                await both("save_snapshot", snapshot)
                for all_ in (False, True):
                    await both("latest_snapshot", run_id=run, include_interrupted=all_)
                    await both("list_snapshots", run_id=run, include_interrupted=all_)
            for id, status in (("t", "started"), ("u/1", "started"), ("t", "completed")):
                effect = ToolEffectRecord(
                    tool_call_id=id, tool_name="x", run_id=run, status=status, started_at=NOW,
                    ended_at=NOW if status == "completed" else None,
                )  # fmt: skip
                await both("record_tool_effect", effect)
                await both("list_unresolved_tool_effects", run_id=run)
                await both("get_tool_effect", run_id=run, tool_call_id=id)

    run(main)


def test_a_run_is_continued_by_another_process(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store = LatchkeyStepStore(client, name=str(uuid.uuid4()))
            persistence = StepPersistence(store=store, run_id="r1")
            await agent(capabilities=[persistence]).run("a", conversation_id="c")
            assert [one.kind for one in await store.list_events(run_id="r1")][-1] == "run_completed"
            (record,) = await store.list_runs(conversation_id="c")
            assert record.run_id == "r1"
            other = LatchkeyStepStore(client, name=store.name)
            snapshot: Any = await continue_run(other, run_id="r1")
            result = await agent().run("b", message_history=getattr(snapshot, "messages", snapshot))
            assert texts(result.all_messages()) == ["a", "answer to a", "b", "answer to b"]

    run(main)


def test_the_step_store_takes_few_trips(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store = LatchkeyStepStore(client, name=str(uuid.uuid4()))
            event = StepEvent(run_id="r", kind="run_started", step_index=1)
            snapshot = ContinuableSnapshot(run_id="r", step_index=1, messages=HISTORY)
            effect = ToolEffectRecord(tool_call_id="t", tool_name="x", run_id="r", status="started")
            await store.append_event(event)
            for _ in range(30):
                await store.save_snapshot(snapshot)
            for call in (
                lambda: store.append_event(event), lambda: store.save_snapshot(snapshot),
                lambda: store.latest_snapshot(run_id="r"), lambda: store.record_tool_effect(effect),
                lambda: store.list_unresolved_tool_effects(run_id="r"),
            ):  # fmt: skip
                with counted() as trips:
                    await call()
                assert trips.count == 1

    run(main)


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)

    async def main() -> None:
        names = page("frameworks/pydantic-ai.md")
        names["agent"].model = FunctionModel(echo)
        for text in ("hi", "ho"):
            answer = await names["handler"]({"device": name, "text": text})
            assert answer == f"answer to {text}"
        history = LatchkeyHistory(name, async_client=names["client"])
        assert texts(await history.aload()) == ["hi", "answer to hi", "ho", "answer to ho"]
        answer = await names["durable"]({"device": name, "run": "r", "text": "a"})
        assert answer == "answer to a"
        assert await names["steps"].list_runs(conversation_id=name)
        await names["client"].close()

    run(main)
