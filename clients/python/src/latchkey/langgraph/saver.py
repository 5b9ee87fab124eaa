"""The checkpoints of LangGraph as documents of a session, a thread being a device.

A checkpoint and its writes stand under adjoining keys, the newest checkpoint last, so that one
request reads a checkpoint with its writes, however many others the thread has.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)

from .. import verbs
from ..adapting import Adapter, Steps, batches, bound, documents, linked, part, removed
from ..client import Client
from ..errors import NotFound, Stale
from .checkpoints import (
    LINK,
    NEWEST,
    PAGE,
    PIECE,
    ROOT,
    Ancestors,
    Scan,
    Stored,
    group_of,
    grouped,
    id_of,
    is_hashed,
    named,
    place,
)
from .values import packed, unpacked

if TYPE_CHECKING:
    from ..aio import AsyncClient

# In the class, `list` is a method.
_Values = list[Any]
_Names = list[str]
_Page = list[Stored]


class LatchkeySaver(Adapter, BaseCheckpointSaver):
    """Implements `BaseCheckpointSaver`, for coroutines and for threads, with all optional methods.

    `thread_id` is the device. Its session is made by the first checkpoint, and its clocks are off.
    """

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        serde: Any = None,
        **opening: Any,
    ) -> None:
        """`name`: of the set of threads that `list` without a thread and `delete_for_runs` go
        through. `serde`: a serializer of LangGraph's. `opening`: parameters of `Client.open` for
        new sessions, such as `user` and `policy`."""
        self._link = {**(opening.get("link") or {}), LINK: name}
        opening["link"] = self._link
        Adapter.__init__(self, client, async_client, **opening)
        BaseCheckpointSaver.__init__(self, serde=serde)
        self.name = name

    def device(self, of: Any) -> str:
        """The device of a thread: `turn` takes its id, or a config."""
        return str(of["configurable"]["thread_id"] if isinstance(of, dict) else of)

    # --- reading

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the latest, with its writes."""
        return self.run(self._get(config))

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return await self.aread(self._get(config))

    def list(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """The checkpoints of a thread, or of all threads, the newest of each namespace first."""
        scan = Scan(config, filter, before, limit)
        for thread in [scan.thread] if scan.thread else self.run(self._threads()):
            to = scan.to
            while not scan.is_over:
                found, to = self.run(self._page(thread, scan.prefix, to, scan.page))
                yield from self._chosen(thread, found, scan)
                if to is None:
                    break

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`."""
        scan = Scan(config, filter, before, limit)
        for thread in [scan.thread] if scan.thread else await self.aread(self._threads()):
            to = scan.to
            while not scan.is_over:
                found, to = await self.aread(self._page(thread, scan.prefix, to, scan.page))
                for one in self._chosen(thread, found, scan):
                    yield one
                if to is None:
                    break

    def _get(self, config: Any) -> Steps[CheckpointTuple | None]:
        chosen = config["configurable"]
        thread, space = str(chosen["thread_id"]), chosen.get("checkpoint_ns", "")
        wanted = get_checkpoint_id(config)
        prefix = place(space, wanted or None)
        found, _ = yield from self._page(thread, prefix, None, PAGE if wanted else NEWEST)
        return self._tuple(thread, found[0], config if wanted else None) if found else None

    def _page(
        self, thread: str, prefix: str, to: str | None, limit: int = PAGE
    ) -> Steps[tuple[_Page, str | None]]:
        """The next checkpoints below the key `to`, newest first; and where to go on, if anywhere.

        What a page cuts is read again with the next one, unless it is all that the page has."""
        read: _Values = []
        cursor: str | None = None
        while True:
            try:
                page = yield verbs.keys(
                    thread,
                    prefix=prefix,
                    to=to,
                    newest=True,
                    values=True,
                    limit=limit,
                    cursor=cursor,
                )
            except NotFound:
                return [], None
            read += page["documents"]
            cursor, limit = page["cursor"], max(limit, PAGE)
            found, rest = grouped(read)
            if cursor is None:
                return found, None
            if found:
                return found, read[-len(rest) - 1]["key"]

    def _threads(self) -> Steps[_Names]:
        records = yield from linked(LINK, self.name, fields="none")
        return list(dict.fromkeys(record["device"] for record in records))

    def _chosen(
        self, thread: str, found: Sequence[Stored], scan: Scan
    ) -> Iterator[CheckpointTuple]:
        for one in found:
            if scan.is_over:
                return
            if scan.takes(one) and scan.matches(self._load(one.content["metadata"])):
                yield self._tuple(thread, one, None)

    def _tuple(self, thread: str, one: Stored, config: Any) -> CheckpointTuple:
        parent = one.content["parent"]
        writes = sorted(one.writes, key=lambda write: writes_sort_key(*write[:3]))
        return CheckpointTuple(
            config=config or named(thread, one.space, one.id),
            checkpoint=self._load(one.content["checkpoint"]),
            metadata=self._load(one.content["metadata"]),
            parent_config=named(thread, one.space, parent) if parent else None,
            pending_writes=[
                (task, channel, self._load(value)) for _, task, _, channel, value in writes
            ],
        )

    def _load(self, value: Sequence[str]) -> Any:
        return self.serde.loads_typed(unpacked(value))

    def _dump(self, value: Any) -> Sequence[str]:
        return packed(*self.serde.dumps_typed(value))

    # --- writing

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Stores a checkpoint in one step. Raises LatchkeyError; Stale if the turn was lost."""
        return self.run(self._put(config, checkpoint, metadata))

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """As `put`."""
        return await self.arun(self._put(config, checkpoint, metadata))

    def put_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores a task's writes in one step; those that are there already stay as they are."""
        self.run(self._put_writes(config, writes, task_id, task_path))

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`."""
        await self.arun(self._put_writes(config, writes, task_id, task_path))

    def _put(self, config: Any, checkpoint: Any, metadata: Any) -> Steps[Any]:
        chosen = config["configurable"]
        thread, space = str(chosen["thread_id"]), chosen.get("checkpoint_ns", "")
        content = {
            "parent": chosen.get("checkpoint_id"),
            "metadata": self._dump(get_checkpoint_metadata(config, metadata)),
            "checkpoint": self._dump(checkpoint),
        }
        key = place(space, checkpoint["id"]) + "c"
        if is_hashed(key):
            content["space"] = space
        text = json.dumps(content, separators=(",", ":"))
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        put: dict[str, Any] = {f"{key}{n:04}": piece for n, piece in enumerate(pieces) if n}
        # The first document is what makes the checkpoint one: the others are there before it.
        put[f"{key}0000"] = {"pieces": len(pieces), "text": pieces[0]} if put else content
        for batch in batches(put):
            yield from self._apply(thread, batch)
        return named(thread, space, checkpoint["id"])

    def _apply(self, thread: str, put: dict[str, Any]) -> Steps[None]:
        yield from self.first_change(thread, verbs.apply(thread, {"put": put}), self._link)

    def _put_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task: str, path: str
    ) -> Steps[None]:
        chosen = config["configurable"]
        thread, space = str(chosen["thread_id"]), chosen.get("checkpoint_ns", "")
        key = place(space, chosen["checkpoint_id"])
        ordinary: _Values = []
        special: dict[str, Any] = {}
        for at, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, at)
            write = [path, task, index, channel, self._dump(value)]
            if index < 0:
                special[f"{key}x{part(task)}/{-index}"] = [write]
            else:
                ordinary.append(write)
        if special:
            yield from self.changed(thread, verbs.apply(thread, {"put": special}))
        if ordinary:
            yield from self._put_ordinary(thread, f"{key}w{part(task)}", ordinary)

    def _put_ordinary(self, thread: str, key: str, writes: _Values) -> Steps[None]:
        """Adds the writes whose index is not there yet to the task's document."""
        try:
            yield from self.changed(thread, verbs.put(thread, key, writes, if_="absent"))
            return
        except Stale as error:
            if error.rev is None:
                raise  # of the turn
        while True:
            (there,) = (yield verbs.take(thread, key))["documents"]
            known = there["value"] if there else []
            indices = {write[2] for write in known}
            added = [write for write in writes if write[2] not in indices]
            if not added:
                return
            try:
                rev = there["rev"] if there else 0
                yield bound(verbs.put(thread, key, [*known, *added], rev=rev), thread)
                return
            except Stale as error:
                if error.rev is None:
                    raise
            except NotFound:
                pass

    # --- delta channels

    def get_delta_channel_history(self, *, config: Any, channels: Sequence[str]) -> Any:
        """The writes from which channels are rebuilt, and the value with which to begin; reads the
        ancestors of a checkpoint in pages."""
        return self.run(self._delta_history(config, channels))

    async def aget_delta_channel_history(self, *, config: Any, channels: Sequence[str]) -> Any:
        """As `get_delta_channel_history`."""
        return await self.aread(self._delta_history(config, channels))

    def _delta_history(self, config: Any, channels: Sequence[str]) -> Steps[Any]:
        found: dict[str, dict[str, Any]] = {channel: {"writes": []} for channel in channels}
        begun = yield from self._get(config) if channels else _nothing()
        ancestors = Ancestors(begun)
        while ancestors.wanted is not None and any("seed" not in one for one in found.values()):
            one = yield from self._ancestor(ancestors)
            if one is None:
                break
            for channel, history in found.items():
                if "seed" in history:
                    continue
                own = [write for write in one.pending_writes or () if write[1] == channel]
                history["writes"] = own + history["writes"]
                if channel in one.checkpoint["channel_values"]:
                    history["seed"] = one.checkpoint["channel_values"][channel]
        return found

    def _ancestor(self, ancestors: Ancestors) -> Steps[CheckpointTuple | None]:
        """The next ancestor: of what was read, else of the next page, else by its id."""
        thread, space, id = ancestors.thread, ancestors.space, str(ancestors.wanted)
        while id not in ancestors.read and ancestors.is_below(id):
            prefix = place(space)
            page, ancestors.to = yield from self._page(thread, prefix, ancestors.to)
            ancestors.read = {one.id: one for one in page if one.id <= id}
        if id in ancestors.read:
            found = self._tuple(thread, ancestors.read.pop(id), None)
        else:
            found = yield from self._get(named(thread, space, id))
        ancestors.reached(found)
        return found

    # --- removing and copying

    def delete_thread(self, thread_id: str) -> None:
        """Removes a thread's session, with all that is in it."""
        self.run(removed(str(thread_id)))

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        await self.arun(removed(str(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Removes the checkpoints of some runs; reads those of all threads."""
        self.run(self._delete_for_runs(run_ids))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `delete_for_runs`."""
        await self.arun(self._delete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies all checkpoints and writes, the oldest first."""
        self.run(self._copy(str(source_thread_id), str(target_thread_id)))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `copy_thread`."""
        await self.arun(self._copy(str(source_thread_id), str(target_thread_id)))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Removes all checkpoints of some threads but the latest of each namespace, and those from
        which its delta channels are rebuilt; with the strategy `delete` the threads."""
        self.run(self._prune(thread_ids, strategy))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `prune`."""
        await self.arun(self._prune(thread_ids, strategy))

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[None]:
        runs = set(run_ids)
        for thread in (yield from self._threads()):
            gone: _Names = []
            to: str | None = None
            while True:
                found, to = yield from self._page(thread, ROOT, to)
                gone += [
                    one.place
                    for one in found
                    if self._load(one.content["metadata"]).get("run_id") in runs
                ]
                if to is None:
                    break
            yield from self._drop(thread, gone)

    def _drop(self, thread: str, gone: Sequence[str]) -> Steps[None]:
        for group in gone:
            try:
                yield bound(verbs.drop(thread, prefix=group), thread)
            except NotFound:
                return

    def _copy(self, source: str, target: str) -> Steps[None]:
        cursor: str | None = None
        while True:
            try:
                page = yield verbs.keys(source, prefix=ROOT, values=True, limit=PAGE, cursor=cursor)
            except NotFound:
                return
            put = {one["key"]: one["value"] for one in page["documents"]}
            for batch in batches(put):
                yield from self._apply(target, batch)
            cursor = page["cursor"]
            if cursor is None:
                return

    def _prune(self, threads: Sequence[str], strategy: str) -> Steps[None]:
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"{strategy!r} is no strategy: keep_latest or delete")
        for thread in map(str, threads):
            if strategy == "delete":
                yield from removed(thread)
            else:
                yield from self._keep_latest(thread)

    def _keep_latest(self, thread: str) -> Steps[None]:
        keys = [one["key"] for one in (yield from documents(thread, prefix=ROOT))]
        groups = [*dict.fromkeys(map(group_of, keys))]
        for space in dict.fromkeys(group[: group.index("/", len(ROOT)) + 1] for group in groups):
            found, _ = yield from self._page(thread, space, None, NEWEST)
            if not found:
                continue
            latest = found[0]
            kept = yield from self._needed(thread, latest.space, latest.id)
            own = [(group, id_of(group)) for group in groups if group.startswith(space)]
            gone = [group for group, id in own if id < latest.id and id not in kept]
            yield from self._drop(thread, gone)

    def _needed(self, thread: str, space: str, latest: str) -> Steps[set[str]]:
        """The latest checkpoint, and its ancestors up to those that have the values from which its
        delta channels are rebuilt."""
        kept: set[str] = set()
        wanted: set[str] | None = None
        id: str | None = latest
        while id is not None and wanted != set():
            found = yield from self._get(named(thread, space, id))
            if found is None:
                break
            kept.add(id)
            if wanted is None:
                counters = found.metadata.get("counters_since_delta_snapshot") or {}
                wanted = set(counters)
            wanted -= set(found.checkpoint["channel_values"])
            id = (
                found.parent_config["configurable"]["checkpoint_id"]
                if found.parent_config
                else None
            )
        return kept


def _nothing() -> Steps[None]:
    return None
    yield []
