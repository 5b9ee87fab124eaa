"""The repository and the storage for Strands, with the real framework and a real worker."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from chaos import assert_turns, counted, in_threads, killing, page, run
from conftest import Fleet
from strands import Agent
from strands.models.model import Model
from strands.session.file_session_manager import FileSessionManager
from strands.session.repository_session_manager import RepositorySessionManager
from strands.session.snapshot_session_manager import SnapshotSessionManager
from strands.storage import InMemoryStorage
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from latchkey import AsyncClient, Client, Stale
from latchkey.strands import LatchkeySessionRepository, LatchkeyStorage
from latchkey.testing import Worker


class Echo(Model):
    """A model that answers with the text that it was sent."""

    def update_config(self, **model_config: Any) -> None: ...

    def get_config(self) -> Any:
        return {}

    async def structured_output(self, output_model: Any, prompt: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
        yield

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        text = f"answer to {messages[-1]['content'][0]['text']}"
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": text}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


def agent(manager: Any) -> Agent:
    return Agent(
        model=Echo(), agent_id="a 1", session_manager=manager, callback_handler=None, tools=[]
    )


def texts(messages: Any) -> list[str]:
    return [one["content"][0]["text"] for one in messages]


def message(id: int, text: str = "x") -> SessionMessage:
    content: Any = [{"text": text}, {"image": {"format": "png", "source": {"bytes": b"\0\1"}}}]
    return SessionMessage({"role": "user", "content": content}, id)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}-{uuid.uuid4()}"


@pytest.fixture
def client(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield client


class Many:
    """Stands for a multi-agent."""

    id = "many"

    def __init__(self, state: Any) -> None:
        self.state = state

    def serialize_state(self) -> Any:
        return self.state


@pytest.mark.parametrize("kind", ["latchkey", "files"])
def test_the_contract_of_a_repository(client: Client, name: str, tmp_path: Any, kind: str) -> None:
    """Held against the framework's own repository, too."""
    repository: Any = LatchkeySessionRepository(client)
    if kind == "files":
        repository = FileSessionManager("another", storage_dir=str(tmp_path))
    assert repository.read_session(name) is None
    session = Session(session_id=name, session_type=SessionType.AGENT)
    repository.create_session(session)
    assert repository.read_session(name) == session
    with pytest.raises(SessionException, match="exists"):
        repository.create_session(session)

    state = SessionAgent("agent", {"n": 1}, {"c": [None]}, _internal_state={"x": b"\0"})
    assert repository.read_agent(name, "agent") is None
    with pytest.raises(SessionException, match="exist"):
        repository.update_agent(name, state)
    with pytest.raises(SessionException):
        repository.list_messages(name, "agent")
    repository.create_agent(name, state)
    assert repository.read_agent(name, "agent") == state
    assert repository.list_messages(name, "agent") == []
    newer = SessionAgent("agent", {"n": 2}, {}, created_at="later")
    repository.update_agent(name, newer)
    assert repository.read_agent(name, "agent").state == {"n": 2}
    assert repository.read_agent(name, "agent").created_at == state.created_at

    messages = [message(n, f"{n}") for n in range(12)]
    for one in messages:
        repository.create_message(name, "agent", one)
    assert repository.list_messages(name, "agent") == messages
    assert repository.list_messages(name, "agent", limit=3, offset=9) == messages[9:]
    assert repository.list_messages(name, "agent", limit=2, offset=1) == messages[1:3]
    assert repository.list_messages(name, "agent", offset=10) == messages[10:]
    assert repository.list_messages(name, "agent", limit=0) == []
    assert repository.read_message(name, "agent", 5) == messages[5]
    assert repository.read_message(name, "agent", 99) is None
    redacted = message(5)
    redacted.redact_message = {"role": "user", "content": [{"text": "gone"}]}
    repository.update_message(name, "agent", redacted)
    assert repository.list_messages(name, "agent")[5].to_message() == redacted.redact_message
    with pytest.raises(SessionException, match="exist"):
        repository.update_message(name, "agent", message(99))

    assert repository.read_multi_agent(name, "many") is None
    with pytest.raises(SessionException, match="exist"):
        repository.update_multi_agent(name, Many({"n": 1}))
    repository.create_multi_agent(name, Many({"n": 1}))
    repository.update_multi_agent(name, Many({"n": 2}))
    assert repository.read_multi_agent(name, "many") == {"n": 2}
    repository.delete_session(name)
    assert repository.read_session(name) is None


def test_an_agent_goes_on_where_it_was(client: Client, name: str) -> None:
    for question in ("a", "b"):
        repository = LatchkeySessionRepository(client)
        agent(RepositorySessionManager(name, repository))(question)
    restored = agent(RepositorySessionManager(name, repository))
    assert texts(restored.messages) == ["a", "answer to a", "b", "answer to b"]


def test_a_run_that_was_overtaken_overwrites_nothing(client: Client, name: str) -> None:
    repository = LatchkeySessionRepository(client)
    first = agent(RepositorySessionManager(name, repository))
    second = agent(RepositorySessionManager(name, repository))
    first("a")
    with pytest.raises(SessionException, match="another run"):
        second("b")
    restored = agent(RepositorySessionManager(name, repository))
    assert texts(restored.messages) == ["a", "answer to a"]


def test_calls_take_one_trip(client: Client, name: str) -> None:
    repository = LatchkeySessionRepository(client)
    repository.create_session(Session(session_id=name, session_type=SessionType.AGENT))
    repository.create_agent(name, SessionAgent("agent", {}, {}))
    for n in range(300):
        repository.create_message(name, "agent", message(n))
    for call, most in (
        (lambda: repository.create_message(name, "agent", message(300)), 1),
        (lambda: repository.list_messages(name, "agent", limit=100, offset=150), 1),
        (lambda: repository.read_message(name, "agent", 7), 1),
        (lambda: repository.update_message(name, "agent", message(7)), 2),
        (lambda: repository.update_agent(name, SessionAgent("agent", {}, {})), 2),
    ):
        with counted() as trips:
            call()
        assert trips.count == most


def test_twenty_writers_lose_nothing_while_workers_are_killed(fleet: Fleet, name: str) -> None:
    with Client(fleet.to, timeout=20) as client:
        repository = LatchkeySessionRepository(client)
        repository.create_session(Session(session_id=name, session_type=SessionType.AGENT))
        with killing(fleet, client.options, 200) as progress:

            def write(writer: int) -> None:
                repository.create_agent(name, SessionAgent(f"{writer}", {}, {}))
                for n in range(10):
                    repository.create_message(name, f"{writer}", message(n, f"{writer}-{n}"))
                    progress.step()

            in_threads(write)
        for writer in range(20):
            found = repository.list_messages(name, f"{writer}")
            assert texts(one.message for one in found) == [f"{writer}-{n}" for n in range(10)]


@pytest.mark.parametrize("kind", ["messages", "snapshots"])
def test_twenty_turns_interleave_nothing_while_workers_are_killed(
    fleet: Fleet, name: str, kind: str
) -> None:
    with Client(fleet.to, timeout=20) as client:
        repository = LatchkeySessionRepository(client)
        storage = LatchkeyStorage(name, client=client)

        def manager() -> Any:
            if kind == "messages":
                return RepositorySessionManager(name, repository)
            return SnapshotSessionManager(name, storage=storage)

        with killing(fleet, client.options, 20) as progress:

            def turn(n: int) -> None:
                with repository.turn(name, wait=60):
                    agent(manager())(f"q{n}")
                progress.step()

            in_threads(turn)
        assert_turns(texts(agent(manager()).messages), 20)


def causes(error: BaseException | None) -> list[BaseException]:
    """An error, and those that have caused it."""
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@pytest.mark.parametrize("kind", ["messages", "snapshots"])
def test_a_run_that_lost_its_turn_writes_nothing(client: Client, name: str, kind: str) -> None:
    repository = LatchkeySessionRepository(client)
    storage = LatchkeyStorage(name, client=client)

    def manager() -> Any:
        if kind == "messages":
            return RepositorySessionManager(name, repository)
        return SnapshotSessionManager(name, storage=storage)

    with pytest.raises(Exception) as raised, repository.turn(name):
        running = agent(manager())
        running("a")
        client.turn(name, policy="interrupt").done()
        running("b")
    assert any(isinstance(one, Stale) for one in causes(raised.value))
    assert texts(agent(manager()).messages) == ["a", "answer to a"]


def test_the_storage_answers_as_the_framework_s_own(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            own, storage = InMemoryStorage(), LatchkeyStorage(name, client)
            data = {"a/b": b"the quick brown fox", "a/é": bytes(range(256)) * 999, "b": b""}
            for one in (own, storage):
                assert await one.list("") == []
                assert await one.read("a/b") is None
                await one.delete("a/b")
                for key, value in data.items():
                    await one.write(f"/{key}/", b"old")
                    await one.write(key, value)
                await one.delete("b")
            for query in ("", "a", "a/", "/a/b", "none"):
                assert await storage.list(query) == await own.list(query), query
            for key in data:
                assert await storage.read(key) == await own.read(key)
            assert await storage.search("quick fox") == await own.search("quick fox")
            for key in ("", "//", "a/../b", "a\\b"):
                for one in (own, storage):
                    with pytest.raises(StorageError):
                        await one.write(key, b"")
            for call in (storage.write("a/b", b"1"), storage.read("a/b"), storage.list("")):
                with counted() as trips:
                    await call
                assert trips.count == 1

    run(main)


def test_a_large_snapshot_is_refused_with_advice(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            storage = LatchkeyStorage(name, client)
            await storage.write("large", b"text " * 200_000)
            with pytest.raises(StorageError, match="262144 bytes"):
                await storage.write("larger", b"".join(uuid.uuid4().bytes for _ in range(20_000)))

    run(main)


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    names = page("frameworks/strands.md")
    names["model"] = Echo()
    for text in ("hi", "ho"):
        for function in ("handler", "with_snapshots"):
            device = f"{name}-{function}"
            answer = names[function]({"device": device, "text": text})
            assert answer.strip() == f"answer to {text}"
    restored = names["repository"].list_messages(f"{name}-handler", "support")
    assert texts(one.message for one in restored) == [
        "hi", "answer to hi", "ho", "answer to ho",
    ]  # fmt: skip
    names["repository"].close()
