"""Paths of the API, compared as sent: no trailing slash, no empty segment, no dot segment. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

USER = "user_id"
ONESELF = "@me"


class PathTable(Generic[T]):
    """Values by path template, as in `/v1/sessions/{session_id}`."""

    def __init__(self, templates: Iterable[tuple[str, T]]) -> None:
        self._root: _Node[T] = _Node()
        for template, value in templates:
            node = self._root
            for segment in template.split("/")[1:]:
                if segment.startswith("{"):
                    node.name = segment[1:-1]
                    node.variable = node.variable or _Node()
                    node = node.variable
                else:
                    node = node.literals.setdefault(segment, _Node())
            node.value = value

    def find(self, raw_path: bytes) -> tuple[T, dict[str, str]] | None:
        """Return the value of a path and the decoded text of its variable segments; `None` if there is none."""
        node, variables = self._root, dict[str, str]()
        for segment in raw_path.decode("latin-1").split("/")[1:]:
            following = node.literals.get(segment)
            if following is None and node.variable is not None:
                text = decoded(segment)
                if not is_id(node.name, text):
                    return None
                variables[node.name], following = text, node.variable
            if following is None:
                return None
            node = following
        return None if node.value is None else (node.value, variables)


class _Node(Generic[T]):
    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.name = ""
        self.variable: _Node[T] | None = None
        self.value: T | None = None


def decoded(segment: str) -> str:
    """Return the text of a percent-encoded segment; empty if it is not UTF-8."""
    try:
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeDecodeError:
        return ""


def is_id(name: str, text: str) -> bool:
    """Return whether a segment may be an id: not empty, no dot segment, and no user `me`, which proxies may rewrite."""
    return bool(text.strip(".")) and not (name == USER and text.lower() == "me")
