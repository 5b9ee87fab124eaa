"""How checkpoints lie in the documents of a session, and what is looked for among them."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from langgraph.checkpoint.base import CheckpointTuple, get_checkpoint_id

from ..adapting import part

ROOT = "checkpoint/"
LINK = "langgraph"
PIECE = 200_000
"""Characters of a document: a longer checkpoint has several."""
NEWEST = 4
"""Documents of the first page of a search for the latest checkpoint: it and its writes."""
PAGE = 100


class Stored(NamedTuple):
    """A checkpoint's documents: its key, its content, and its writes' documents."""

    space: str
    id: str
    content: dict[str, Any]
    writes: list[list[Any]]


class Ancestors:
    """Which ancestor of a checkpoint is looked for, and what was read of those before it."""

    def __init__(self, begun: CheckpointTuple | None) -> None:
        chosen = begun.config["configurable"] if begun else {}
        self.thread = str(chosen.get("thread_id"))
        self.space = str(chosen.get("checkpoint_ns", ""))
        self.to: str | None = None
        """Where the next page ends; None when there is none."""
        if begun:
            self.to = f"{ROOT}{part(self.space)}/{part(begun.checkpoint['id'])}/"
        self.read: dict[str, Stored] = {}
        self.wanted: str | None = None
        """The id of the next one."""
        self.reached(begun)

    def is_below(self, id: str) -> bool:
        """True if it may be on the next page: ids grow."""
        return self.to is not None and f"{ROOT}{part(self.space)}/{part(id)}/" < self.to

    def reached(self, found: CheckpointTuple | None) -> None:
        """Goes on to the parent of this one."""
        parent = found.parent_config if found else None
        self.wanted = parent["configurable"]["checkpoint_id"] if parent else None


class Scan:
    """Which checkpoints a listing takes."""

    def __init__(
        self, config: Any, filter: dict[str, Any] | None, before: Any, limit: int | None
    ) -> None:
        chosen = config["configurable"] if config else {}
        self.thread = str(chosen["thread_id"]) if config else None
        space = chosen.get("checkpoint_ns")
        self._id = get_checkpoint_id(config) if config else None
        self._before = get_checkpoint_id(before) if before else None
        self._filter = filter or {}
        self._left = limit
        self.page = PAGE if limit is None else min(PAGE, NEWEST * max(limit, 1))
        """How many documents to read at a time."""
        self.prefix = ROOT if space is None else f"{ROOT}{part(space)}/"
        if space is not None and self._id:
            self.prefix += f"{part(self._id)}/"
        self.to: str | None = None
        if space is not None and self._before:
            self.to = f"{ROOT}{part(space)}/{part(self._before)}/"

    @property
    def is_over(self) -> bool:
        """True once as many were taken as are wanted."""
        return self._left is not None and self._left <= 0

    def takes(self, one: Stored) -> bool:
        """True if its id is one that is looked for."""
        is_early = self._before is None or one.id < self._before
        return is_early and self._id in (None, one.id)

    def matches(self, metadata: dict[str, Any]) -> bool:
        """True if the metadata pass the filter; the checkpoint then counts as taken."""
        if any(metadata.get(key) != value for key, value in self._filter.items()):
            return False
        if self._left is not None:
            self._left -= 1
        return True


def named(thread: str, space: str, id: str) -> dict[str, Any]:
    """The config that names a checkpoint."""
    return {
        "configurable": {"thread_id": thread, "checkpoint_ns": space, "checkpoint_id": id},
    }


def group_of(key: str) -> tuple[str, str]:
    """The namespace and the id of the checkpoint to which a key belongs."""
    _, space, id, _ = key.split("/", 3)
    return unquote(space), unquote(id)


def grouped(found: Sequence[Any]) -> tuple[list[Stored], list[Any]]:
    """The checkpoints among documents that come newest first, and the documents of the last group
    if its first piece, which ends it, is not among them. Writes without a checkpoint are passed
    over: it is not there yet."""
    groups: list[Stored] = []
    rest: list[Any] = []
    for one in found:
        if rest and group_of(rest[0]["key"]) != group_of(one["key"]):
            rest = []
        rest.append(one)
        if one["key"].endswith("/c0000"):
            stored = _stored(rest)
            groups += [stored] if stored else []
            rest = []
    return groups, rest


def _stored(group: Sequence[Any]) -> Stored | None:
    """A checkpoint from its documents, or None if one is corrupt in Redis."""
    space, id = group_of(group[0]["key"])
    values = {one["key"].rsplit("/", 1)[1]: one.get("value") for one in group}
    content = values.get("c0000")
    if isinstance(content, dict) and "pieces" in content:
        pieces = [values.get(f"c{n:04}") for n in range(1, content["pieces"])]
        if not all(isinstance(piece, str) for piece in pieces):
            return None
        content = json.loads(content["text"] + "".join(str(piece) for piece in pieces))
    if not isinstance(content, dict):
        return None
    tail = len(ROOT) + len(part(space)) + len(part(id)) + 2
    writes = [
        write
        for one in group
        if one["key"][tail] in "wx" and isinstance(one.get("value"), list)
        for write in one["value"]
    ]
    return Stored(space, id, content, writes)
