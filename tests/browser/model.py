"""A scripted language model: a chat completions endpoint whose replies the test controls.

The last line of the user's message selects the reply: `say …` streams the rest of the message, `count N` streams N
words at a hundred a second, `hold` streams a few words and continues when the test allows it, `think A | B` reasons A,
waits as `hold` does, and answers B; any other text gets a short answer.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HELD = "One moment, I am"  # the part of a held reply that is sent at once
RELEASED = " back again."
TICK = 0.01  # seconds between two words
LOOPBACK = "127.0.0.1"


class Reasoning(str):
    """A piece of reasoning."""

    __slots__ = ()


class Model:
    """The endpoint, on a free port. A context manager. `host` is this machine's name in the URL."""

    def __init__(self, host: str = LOOPBACK) -> None:
        self._host = host
        self.go_on = threading.Event()
        self.ended = threading.Event()
        self.go_on.set()
        self.answers: dict[str, str] = {}  # by the end of the user's message
        self.at_once = 0  # characters at the beginning of a reply that `say` sends without delay
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    for piece in model.answer(str(body["messages"][-1]["content"])):
                        field = "reasoning_content" if isinstance(piece, Reasoning) else "content"
                        self._send({"choices": [{"index": 0, "delta": {field: piece}, "finish_reason": None}]})
                    self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                    self.wfile.write(b"data: [DONE]\n\n")
                except OSError:
                    pass  # the reply was stopped

            def _send(self, chunk: dict[str, Any]) -> None:
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK if host == LOOPBACK else "", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Release a held reply, and remove all scripted answers."""
        self.go_on.set()
        self.answers.clear()
        self.at_once = 0

    @property
    def url(self) -> str:
        """The `base_url` for a chatbot."""
        return f"http://{self._host}:{self._server.server_port}/v1"

    def answer(self, said: str) -> Iterator[str]:
        """Yield the parts of a reply."""
        command = re.search(r"(?:^|\n)(?:@\S+ )?(say|count|hold|think)\b\s*", said)
        name, rest = (command[1], said[command.end() :]) if command else ("", said)
        known = next((answer for question, answer in self.answers.items() if said.endswith(question)), None)
        if known is not None:
            name, rest = "say", known
        if name == "hold":
            yield from re.findall(r"\s*\S+", HELD)
            self.go_on.wait(60)
            yield RELEASED
        elif name == "think":
            reasoning, _, text = rest.partition("|")
            yield from map(Reasoning, re.findall(r"\s*\S+", reasoning))
            self.go_on.wait(60)
            yield text.strip()
        elif name == "say":
            yield from re.findall(r"[\s\S]{1,500}", rest[: self.at_once])
            for piece in re.findall(r"[\s\S]{1,6}", rest[self.at_once :]):
                yield piece
                self.ended.wait(TICK)
        elif name == "count":
            for number in range(int(re.match(r"\d+", rest)[0])):  # type: ignore[index]
                yield f"word{number} "
                self.ended.wait(TICK)
        else:
            yield f"You said {len(said)} characters."
