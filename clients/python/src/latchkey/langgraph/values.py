"""How values and namespaces of LangGraph become documents and devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from ..adapting import pack, part, unpack


def packed(kind: str, data: bytes) -> list[str]:
    """A serializer's output as JSON: its type, and the bytes packed."""
    return [kind, *pack(data)]


def unpacked(value: Sequence[str]) -> tuple[str, bytes]:
    """The reverse of `packed`."""
    return value[0], unpack(value[1:])


def path(parts: Iterable[str]) -> str:
    """A namespace as one text."""
    return "/".join(part(one) or "%" for one in parts)


def parts(path: str) -> tuple[str, ...]:
    """The reverse of `path`."""
    return tuple("" if one == "%" else unquote(one) for one in path.split("/")) if path else ()
