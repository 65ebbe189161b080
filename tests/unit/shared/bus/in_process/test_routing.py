"""Topic patterns as in the AMQP 0-9-1 specification, and the table of bindings."""

from __future__ import annotations

import pytest

from shared.bus.in_process.routing import Routes, matches
from shared.contracts.topology import DIRECT, Exchange


@pytest.mark.parametrize(
    ("pattern", "key", "taken"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a", False),
        ("a.b", "a.b.c", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("*.b", "a.b", True),
        ("a.*", "a", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("#.c", "a.b.c", True),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("a.#.c", "a.b.b", False),
        ("*.#", "", True),  # an empty key is one empty word
        ("a.*.#", "a", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, taken: bool) -> None:  # noqa: FBT001
    assert matches(pattern, key) is taken


def test_queue_bound_twice_is_routed_to_once() -> None:
    routes: Routes[str] = Routes()
    topic = Exchange("topic", "topic", persistent=True, mandatory=True)
    routes.bind(topic, "a.*", "queue")
    routes.bind(topic, "#", "queue")
    assert list(routes.find(topic, "a.b")) == ["queue"]

    routes.unbind(topic, "#", "queue")
    assert list(routes.find(topic, "a.b")) == ["queue"]
    assert list(routes.find(topic, "b")) == []


def test_removed_queue_is_routed_to_by_no_key() -> None:
    routes: Routes[str] = Routes()
    fanout = Exchange("fanout", "fanout", persistent=True, mandatory=True)
    routes.bind(fanout, "", "queue")
    routes.bind(DIRECT, "queue", "queue")
    routes.bind(DIRECT, "other", "other")
    routes.remove("queue")

    assert list(routes.find(fanout, "any")) == []
    assert list(routes.find(DIRECT, "queue")) == []
    assert list(routes.find(DIRECT, "other")) == ["other"]
