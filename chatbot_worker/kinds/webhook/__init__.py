"""The kind `webhook`: a bot behind HTTP, in the format of Rasa's REST channel or in a signed format.

`shapes` and `rasa` build requests and parse responses, `addresses` decides which addresses are allowed, `sending`
sends. Only the worker retries a turn, under the same id, so that a bot can recognize a repetition.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal, Self

import orjson
from pydantic import AfterValidator, Field, SecretStr, model_validator
from standardwebhooks import Webhook as Signer

from chatbot_worker.chatbots.protocol import Kind, Options, Silence, Turn, Unusable
from chatbot_worker.kinds.providers.responses import EVENT_STREAM, Body, media_type
from chatbot_worker.kinds.secrets import SecretName, read_secret
from chatbot_worker.kinds.webhook.rasa import Buttons, RasaAnswer, rasa_request
from chatbot_worker.kinds.webhook.sending import Sender
from chatbot_worker.kinds.webhook.shapes import native_answer, native_event, native_request
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.json_text import loads
from shared.contracts.events import ContextWanted
from shared.contracts.payload import utc_now

SECRET_MIN = 24  # bytes; Standard Webhooks asks for 24 to 64


def _network(value: str) -> str:
    ip_network(value)
    return value


class WebhookOptions(Options):
    """The options of the kind `webhook`."""

    url: str = Field(
        pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$", description="`https`; `http` only into networks of `allow`"
    )
    shape: Literal["rasa", "native"] = Field(default="native", description="Format of requests and responses")
    secret: SecretName | None = Field(
        default=None,
        description="Name of the environment variable (or `…_FILE`) of the signing secret, `whsec_…`",
    )
    token: SecretName | None = Field(
        default=None, description="Name of the environment variable (or `…_FILE`) of a bearer token"
    )
    allow: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(), description='Private networks that may be reached, as in `["10.1.0.0/16"]`'
    )
    max_bytes: int = Field(
        default=1024 * 1024,
        ge=1,
        le=16 * 1024 * 1024,
        description="Maximum bytes of a response. Above it the reply fails",
    )

    @model_validator(mode="after")
    def _require_signature(self) -> Self:
        if self.shape == "native" and self.secret is None:
            raise ValueError("a native webhook is signed: `secret` names the variable that holds its secret")
        return self


class Webhook:
    """A bot behind one URL."""

    def __init__(self, options: WebhookOptions, signer: Signer | None, token: SecretStr | None) -> None:
        self._shape = options.shape
        self._max_bytes = options.max_bytes
        self._signer = signer
        self._token = token
        self._buttons = Buttons()
        self._sender = Sender(options.url, [ip_network(network) for network in options.allow])

    async def open(self) -> None:
        """Do nothing: the first turn connects."""

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    async def reply(self, turn: Turn) -> AsyncGenerator[str]:
        """Yield the bot's response, whole or as it comes. A response without a body is silence."""
        now, rasa = utc_now(), self._shape == "rasa"
        request = rasa_request(turn, self._buttons) if rasa else native_request(turn, now)
        body = orjson.dumps(request)
        async with self._sender.post(body, self._headers(turn, body, now)) as answer:
            found = Body(answer)
            if not await found.first():
                raise Silence
            read = self._rasa_messages(found, turn) if rasa else self._native(found, media_type(answer))
            async with aclosing(read) as pieces:
                async for piece in pieces:
                    yield piece

    def _headers(self, turn: Turn, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of a request. `webhook-id` is the reply's id, the same for each try."""
        name = str(turn.message_id)
        headers = {"Accept": f"application/json, {EVENT_STREAM}", "webhook-id": name, "Idempotency-Key": name}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        if self._signer is not None:
            headers["webhook-timestamp"] = str(int(now.timestamp()))
            headers["webhook-signature"] = self._signer.sign(name, now, body.decode())
        return headers

    async def _rasa_messages(self, found: Body, turn: Turn) -> AsyncGenerator[str]:
        answer = RasaAnswer()
        if await found.first() == b"[":
            for message in loads(await found.whole(self._max_bytes)):
                for piece in answer.take(message):
                    yield piece
        else:
            async for line in found.lines(self._max_bytes):
                for piece in answer.take(loads(line)) if line.strip() else ():
                    yield piece
        for piece in answer.end():
            yield piece
        if not answer.shown:  # a silent action; Rasa answers so too while its action server is down
            raise Silence
        self._buttons.keep(turn.session_id, answer.buttons)

    async def _native(self, found: Body, kind: str) -> AsyncGenerator[str]:
        most = self._max_bytes
        if kind != EVENT_STREAM:
            yield native_answer(await found.whole(most))
            return
        async with aclosing(found.events(event_max=most, most=most)) as events:
            async for event in events:
                piece = native_event(event.event, event.data)
                if piece.text:
                    yield piece.text
                if piece.finished:
                    return
        raise failures.interrupted("ended without saying so")


def make(options: WebhookOptions) -> Webhook:
    """Create a chatbot.

    Raises:
        Unusable: a secret is missing, or is no signing secret.
    """
    signing = read_secret("secret", options.secret, options.url)
    signer = _signer(signing.get_secret_value()) if signing else None
    return Webhook(options, signer, read_secret("token", options.token, options.url))


def _signer(value: str) -> Signer:
    """Return the signer of a secret in base64 (RFC 4648), in the standard or in the URL-safe alphabet."""
    text = value.removeprefix("whsec_")
    padded = text if text.endswith("=") else text + "=" * (-len(text) % 4)
    try:
        mixed = {"-", "_"} & set(text) and {"+", "/"} & set(text)
        standard = padded if mixed else padded.translate({ord("-"): "+", ord("_"): "/"})
        key = base64.b64decode(standard, validate=True)
    except ValueError:
        key = b""
    if len(key) < SECRET_MIN:
        raise Unusable(
            f"options.secret: after whsec_ there must be {SECRET_MIN} bytes or more in base64, of one alphabet"
        )
    return Signer(key)


KIND = Kind(
    options=WebhookOptions,
    make=make,
    immediate=False,
    context=ContextWanted(messages=20, bytes=64 * 1024),
    concurrency=32,
)
