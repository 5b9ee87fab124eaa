"""How checkpoints lie in the documents of a session, and what is looked for among them."""

# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from langgraph.checkpoint.base import CheckpointTuple, get_checkpoint_id

from ..adapting import part

ROOT = "checkpoint/"
LINK = "langgraph"
PIECE = 200_000
"""Characters of a document: a longer checkpoint has several."""
NEWEST = 4
"""Documents of the first page of a search for the latest checkpoint: it and its writes."""
PAGE = 100


_SPACE_CHARS = 250
"""A namespace of more characters is hashed in keys, which have 512 bytes at most."""


def place(space: str, id: str | None = None) -> str:
    """The beginning of the keys of a namespace, or of one of its checkpoints."""
    name = quote(space, safe=":|-_.~@+!*'() ")
    if len(name) > _SPACE_CHARS:
        name = "#" + hashlib.sha256(space.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{ROOT}{name}/" + (f"{part(id)}/" if id is not None else "")


class Stored(NamedTuple):
    """A checkpoint: what its keys begin with, its namespace and id, its content, and its writes."""

    place: str
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
            self.to = place(self.space, begun.checkpoint["id"])
        self.read: dict[str, Stored] = {}
        self.wanted: str | None = None
        """The id of the next one."""
        self.reached(begun)

    def is_below(self, id: str) -> bool:
        """True if it may be on the next page: ids grow."""
        return self.to is not None and place(self.space, id) < self.to

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
        self.prefix = ROOT if space is None else place(space, self._id)
        self.to: str | None = None
        if space is not None and self._before:
            self.to = place(space, self._before)

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


def group_of(key: str) -> str:
    """What the keys of a checkpoint begin with."""
    return key[: key.index("/", key.index("/", len(ROOT)) + 1) + 1]


def is_hashed(key: str) -> bool:
    """True if a key does not show its namespace, which the checkpoint has then."""
    return key.startswith(f"{ROOT}#")


def id_of(group: str) -> str:
    """The id of a group's checkpoint."""
    return unquote(group.rsplit("/", 2)[1])


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
    place = group_of(group[0]["key"])
    values = {one["key"][len(place) :]: one.get("value") for one in group}
    content = values.get("c0000")
    if isinstance(content, dict) and "pieces" in content:
        pieces = [values.get(f"c{n:04}") for n in range(1, content["pieces"])]
        if not all(isinstance(piece, str) for piece in pieces):
            return None
        content = json.loads(content["text"] + "".join(str(piece) for piece in pieces))
    if not isinstance(content, dict):
        return None
    writes = [
        write
        for name, value in values.items()
        if name[0] in "wx" and isinstance(value, list)
        for write in value
    ]
    space = content.get("space", unquote(place.split("/")[1]))
    return Stored(place, space, id_of(place), content, writes)
