"""The saver for LangGraph, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import operator
import uuid
from typing import Annotated, Any, TypedDict

import pytest
from chaos import assert_turns, counted, in_threads, killing, page, run
from conftest import Fleet
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from latchkey import AsyncClient, Client, Stale
from latchkey.langgraph import LatchkeySaver
from latchkey.testing import Worker


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"thread/{request.node.name} ü {uuid.uuid4()}"


@pytest.fixture
def saver(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield LatchkeySaver(client, name=str(uuid.uuid4()))


class State(TypedDict):
    said: Annotated[list[str], operator.add]


def answer(state: State) -> State:
    return {"said": [f"answer to {state['said'][-1]}"]}


async def aanswer(state: State) -> State:
    await asyncio.sleep(0)
    return answer(state)


def graph(saver: LatchkeySaver, node: Any = answer) -> Any:
    builder = StateGraph(State)
    builder.add_node("answer", node)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


def config(thread: str, **more: Any) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", **more}}


def checkpoint(values: dict[str, Any], id: str | None = None) -> Any:
    return {**empty_checkpoint(), "id": id or str(uuid6()), "channel_values": values}


def test_the_conformance_suite_passes(latchkey_worker: Worker) -> None:
    async def main() -> None:
        client = AsyncClient(latchkey_worker.to)

        @checkpointer_test(name="LatchkeySaver")
        async def registered() -> Any:
            yield LatchkeySaver(async_client=client, name=str(uuid.uuid4()))

        report = await validate(registered)
        assert [*report.results] and report.passed_all_base()
        for capability, result in report.results.items():
            assert result.detected and result.passed, (capability, result.failures)
            assert result.tests_skipped == 0
        await client.close()

    run(main)


def test_a_graph_goes_on_where_it_was(saver: LatchkeySaver, name: str) -> None:
    for question in ("a", "b"):
        graph(saver).invoke({"said": [question]}, config(name))
    assert graph(saver).get_state(config(name)).values["said"] == [
        "a", "answer to a", "b", "answer to b",
    ]  # fmt: skip
    history = [*graph(saver).get_state_history(config(name))]
    assert [len(state.values.get("said", ())) for state in history] == [4, 3, 2, 2, 1, 0]


def test_an_interrupt_is_resumed_by_another_process(saver: LatchkeySaver, name: str) -> None:
    def ask(state: State) -> State:
        return {"said": [str(interrupt("sure?"))]}

    assert graph(saver, ask).invoke({"said": []}, config(name))["__interrupt__"]
    other = LatchkeySaver(saver.blocking(), name=saver.name)
    result = graph(other, ask).invoke(Command(resume="yes"), config(name))
    assert result["said"] == ["yes"]


def test_a_failed_task_keeps_the_writes_of_the_others(saver: LatchkeySaver, name: str) -> None:
    ran: list[int] = []

    def work(state: dict[str, int]) -> State:
        ran.append(state["n"])
        if state["n"] == 7 and ran.count(7) == 1:
            raise RuntimeError("no")
        return {"said": [f"{state['n']:03}"]}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_conditional_edges(START, lambda _: [Send("work", {"n": n}) for n in range(150)])
    compiled = builder.compile(checkpointer=saver)
    with pytest.raises(RuntimeError):
        compiled.invoke({"said": []}, config(name))
    written = len(saver.get_tuple(config(name)).pending_writes)
    assert written > 100  # more than a page
    said = compiled.invoke(None, config(name))["said"]
    assert said == [f"{n:03}" for n in range(150)]


def test_sync_and_async_are_one(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        saver = LatchkeySaver(async_client=AsyncClient(latchkey_worker.to))
        await graph(saver, aanswer).ainvoke({"said": ["a"]}, config(name))
        assert await asyncio.to_thread(saver.get_tuple, config(name)) == await saver.aget_tuple(
            config(name)
        )
        listed = await asyncio.to_thread(lambda: [*saver.list(config(name))])
        assert listed == [one async for one in saver.alist(config(name))]
        await saver.aclose()

    run(main)


def test_large_checkpoints_and_odd_names(saver: LatchkeySaver, name: str) -> None:
    data = uuid.uuid4().bytes * 30_000  # 480 kB
    noise = b"".join(uuid.uuid4().bytes for _ in range(30_000))
    value = {"same": data, "noise": noise, "text": "é\ud800"[:1] + "\n"}
    odd = config(name, checkpoint_ns="a/b|c:%2F é" * 40)
    stored = saver.put(odd, checkpoint(value, "id/1 %"), {"step": 1}, {})
    saver.put_writes(stored, [("x", noise[:100_000])], "task/1 é", "path")
    found = saver.get_tuple(odd)
    assert found.config == stored
    assert found.checkpoint["channel_values"] == value
    assert found.pending_writes == [("task/1 é", "x", noise[:100_000])]
    assert found == saver.get_tuple(stored)
    assert saver.get_tuple(config(name)) is None
    saver.put(stored, checkpoint({}, "id/1 %"), {"step": 1}, {})  # in fewer pieces
    assert saver.get_tuple(odd).checkpoint["channel_values"] == {}


def test_a_long_namespace_is_as_any_other(saver: LatchkeySaver, name: str) -> None:
    for space in ("|".join(f"node ü{n}:{uuid.uuid4()}" for n in range(12)), "#", "%23", "a%2Fb"):
        parent = config(name, checkpoint_ns=space)
        for step in range(3):
            parent = saver.put(parent, checkpoint({"n": step}), {"step": step}, {})
            saver.put_writes(parent, [("a", step)], str(uuid.uuid4()))
        found = saver.get_tuple(config(name, checkpoint_ns=space))
        assert found.config == parent
        assert found.checkpoint["channel_values"] == {"n": 2}
        assert [write[2] for write in found.pending_writes] == [2]
        listed = [one.config for one in saver.list(config(name, checkpoint_ns=space))]
        assert listed[0] == parent
        assert len(listed) == 3
    everything = {"configurable": {"thread_id": name}}
    spaces = {one.config["configurable"]["checkpoint_ns"] for one in saver.list(everything)}
    assert len(spaces) == 4
    assert space in spaces
    saver.prune([name])
    assert len([*saver.list(everything)]) == 4


def test_writes_are_idempotent(saver: LatchkeySaver, name: str) -> None:
    stored = saver.put(config(name), checkpoint({}), {}, {})
    saver.put_writes(stored, [("a", 1), ("b", 2)], "t1", "~2")
    saver.put_writes(stored, [("other", 9), ("b", 9), ("c", 3)], "t1", "~2")
    saver.put_writes(stored, [("__error__", "first"), ("d", 4)], "t0", "~1")
    saver.put_writes(stored, [("__error__", "second")], "t0", "~1")
    assert saver.get_tuple(stored).pending_writes == [
        ("t0", "__error__", "second"), ("t0", "d", 4),
        ("t1", "a", 1), ("t1", "b", 2), ("t1", "c", 3),
    ]  # fmt: skip
    # Writes whose checkpoint is not there yet hide none that is.
    saver.put_writes(config(name, checkpoint_id="f" * 36), [("a", 1)], "t", "")
    assert saver.get_tuple(config(name)).config == stored


def test_trips_do_not_grow(saver: LatchkeySaver, name: str) -> None:
    stored = saver.put(config(name), checkpoint({}), {}, {})
    for step in range(60):
        with counted() as trips:
            stored = saver.put(stored, checkpoint({"n": step}), {"step": step}, {})
        assert trips.count == 1
        with counted() as trips:
            saver.put_writes(stored, [("a", 1), ("b", 2)], "t")
        assert trips.count == 1
    for wanted in (config(name), stored):
        with counted() as trips:
            found = saver.get_tuple(wanted)
        assert found.checkpoint["channel_values"] == {"n": 59}
        assert len(found.pending_writes) == 2
        assert trips.count == 1


def test_threads_are_listed_copied_and_removed(saver: LatchkeySaver, name: str) -> None:
    for thread in (name, f"{name}2"):
        parent = config(thread)
        for step in range(3):
            metadata = {"step": step, "run_id": f"run-{step}"}
            parent = saver.put(parent, checkpoint({}), metadata, {})
    assert len([*saver.list(None)]) == 6
    assert len([*saver.list(None, filter={"step": 1})]) == 2
    assert [one.metadata["step"] for one in saver.list(config(name), limit=2)] == [2, 1]
    assert [one.metadata["step"] for one in saver.list(config(name), before=parent)] == [2, 1, 0]
    saver.copy_thread(name, f"{name}3")
    copied = [one.checkpoint for one in saver.list(config(f"{name}3"))]
    assert copied == [one.checkpoint for one in saver.list(config(name))]
    saver.delete_for_runs(["run-1"])
    assert [one.metadata["step"] for one in saver.list(config(name))] == [2, 0]
    saver.prune([name], strategy="keep_latest")
    assert [one.metadata["step"] for one in saver.list(config(name))] == [2]
    saver.delete_thread(name)
    assert saver.get_tuple(config(name)) is None
    saver.delete_thread(name)
    with pytest.raises(ValueError, match="strategy"):
        saver.prune([name], strategy="some")


def test_prune_keeps_what_delta_channels_are_rebuilt_from(saver: LatchkeySaver, name: str) -> None:
    parent = config(name)
    for step in range(5):
        values = {"log": ["snapshot"]} if step == 2 else {}
        metadata = {"step": step, "counters_since_delta_snapshot": {"log": (step - 2, 1)}}
        parent = saver.put(parent, checkpoint(values), metadata, {})
        saver.put_writes(parent, [("log", step)], "t")
    saver.prune([name])
    assert [one.metadata["step"] for one in saver.list(config(name))] == [4, 3, 2]
    history = saver.get_delta_channel_history(config=config(name), channels=["log"])
    assert history["log"]["seed"] == ["snapshot"]
    assert [write[2] for write in history["log"]["writes"]] == [2, 3]


def test_delta_channels_are_rebuilt_as_by_the_framework(saver: LatchkeySaver, name: str) -> None:
    """Of a thread that forks, by pages instead of one ancestor at a time."""
    parents = [config(name)]
    for step in range(250):
        values = {"log": [step]} if step in (30, 200) else {"a": step} if step == 5 else {}
        parent = parents[100] if step == 150 else parents[-1]
        stored = saver.put(parent, checkpoint(values), {"step": step}, {})
        saver.put_writes(stored, [("log", step), ("a", -step)], "t")
        parents.append(stored)
    channels = ["log", "a", "none"]
    for at in (config(name), parents[180], parents[31], parents[1], config(f"{name} none")):
        expected = BaseCheckpointSaver.get_delta_channel_history(
            saver, config=at, channels=channels
        )
        with counted() as trips:
            assert saver.get_delta_channel_history(config=at, channels=channels) == expected
        assert trips.count <= 10
    assert saver.get_delta_channel_history(config=parents[9], channels=[]) == {}


def test_a_thread_that_a_turn_began_is_listed(saver: LatchkeySaver, name: str) -> None:
    with saver.blocking().turn(name):
        graph(saver).invoke({"said": ["a"]}, config(name))
    assert {one.config["configurable"]["thread_id"] for one in saver.list(None)} == {name}


def test_twenty_writers_lose_nothing(saver: LatchkeySaver, name: str) -> None:
    """Threads that write one conversation at once, without turns."""

    def write(n: int) -> None:
        stored = saver.put(config(name), checkpoint({"n": n}), {"step": n}, {})
        saver.put_writes(stored, [("x", n)], "t")

    in_threads(write)
    found = [*saver.list(config(name))]
    assert sorted(one.metadata["step"] for one in found) == [*range(20)]
    for one in found:
        assert one.pending_writes == [("t", "x", one.metadata["step"])]
    assert len(saver.blocking().list(name)["sessions"]) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_turns_interleave_nothing_while_workers_are_killed(
    fleet: Fleet, name: str, kind: str
) -> None:
    def blocking() -> None:
        with Client(fleet.to, timeout=20) as client:
            saver = LatchkeySaver(client)
            compiled = graph(saver)
            with killing(fleet, client.options, 20) as progress:

                def turn(n: int) -> None:
                    with saver.turn(name, wait=60):
                        compiled.invoke({"said": [f"q{n}"]}, config(name))
                    progress.step()

                in_threads(turn)
            assert_turns(compiled.get_state(config(name)).values["said"], 20)

    async def awaiting() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            saver = LatchkeySaver(async_client=client)
            compiled = graph(saver, aanswer)
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    async with saver.aturn(config(name), wait=60):
                        await compiled.ainvoke({"said": [f"q{n}"]}, config(name))
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            state = await compiled.aget_state(config(name))
            assert_turns(state.values["said"], 20)

    if kind == "sync":
        blocking()
    else:
        run(awaiting)


def test_a_run_that_lost_its_turn_writes_nothing(saver: LatchkeySaver, name: str) -> None:
    def slow(state: State) -> State:
        saver.blocking().turn(name, policy="interrupt").done()
        return answer(state)

    with pytest.raises(Stale), saver.turn(name):
        graph(saver, slow).invoke({"said": ["a"]}, config(name), durability="sync")
    assert saver.get_tuple(config(name)).metadata["step"] <= 0
    # Outside the block the thread is free.
    graph(saver).invoke({"said": ["b"]}, config(name))


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    names = page("frameworks/langgraph.md")
    assert names["handler"]({"device": name, "text": "hi"}) == "You said: hi"
    assert names["handler"]({"device": name, "text": "ho"}) == "You said: ho"
    assert names["remembered"](name) == "tea"
    names["saver"].close()
