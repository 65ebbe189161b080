"""Paths of the API are compared as sent."""

from __future__ import annotations

import pytest

from chat_gateway.http.api.paths import PathTable

TABLE: PathTable[str] = PathTable(
    [
        ("/v1/sessions", "list"),
        ("/v1/sessions/{session_id}", "one"),
        ("/v1/sessions/{session_id}/users/{user_id}", "user"),
        ("/v1/sessions/{session_id}/chatbots/{chatbot_id}", "chatbot"),
    ]
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/v1/sessions", ("list", {})),
        (b"/v1/sessions/abc", ("one", {"session_id": "abc"})),
        (b"/v1/sessions/a/users/@me", ("user", {"session_id": "a", "user_id": "@me"})),
        (b"/v1/sessions/a/users/%40me", ("user", {"session_id": "a", "user_id": "@me"})),
        (b"/v1/sessions/a/users/service:x", ("user", {"session_id": "a", "user_id": "service:x"})),
        (b"/v1/sessions/a/chatbots/a%2Fb%20%E2%82%AC", ("chatbot", {"session_id": "a", "chatbot_id": "a/b €"})),
        (b"/v1/sessions/a/chatbots/me", ("chatbot", {"session_id": "a", "chatbot_id": "me"})),
        (b"/v1/sessions/a/chatbots/..a", ("chatbot", {"session_id": "a", "chatbot_id": "..a"})),
    ],
)
def test_variable_segments_are_decoded(path: bytes, expected: object) -> None:
    assert TABLE.find(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        *(b"", b"/", b"/v1", b"/v1/", b"v1/sessions", b"/v1/sessions/", b"/v1/sessions//", b"//v1/sessions"),
        *(b"/v1//sessions", b"/v1/./sessions", b"/v1/sessions/.", b"/v1/sessions/..", b"/v1/sessions/%2e"),
        *(b"/v1/sessions/%2E%2e", b"/v1/sessions/%2e.", b"/v1/sessions/../users/a", b"/v1/%73essions"),
        *(b"/V1/sessions", b"/v1/Sessions", b"/v1/sessions/a/users", b"/v1/sessions/a/b", b"/v1/sessions/a?b/c"),
        *(b"/v1/sessions/a/users/me", b"/v1/sessions/a/users/ME", b"/v1/sessions/a/users/%6de"),
        *(b"/v1/sessions/a/users/...", b"/v1/sessions/a/users/a/", b"/v1/sessions/%ff", b"/v1/sessions/\xff"),
    ],
)
def test_other_spellings_are_not_found(path: bytes) -> None:
    assert TABLE.find(path) is None
