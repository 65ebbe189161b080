"""The kind `openai`: a language model behind an OpenAI-compatible endpoint (OpenAI, Ollama, vLLM, OpenRouter …)."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from chatbot_worker.chatbots.protocol import Kind, Options, ReplyError
from chatbot_worker.kinds.providers.completions import Completions
from chatbot_worker.kinds.providers.language_model import LanguageModel, ModelChatbot
from chatbot_worker.kinds.secrets import SecretName, read_secret
from chatbot_worker.kinds.wire.failures import BUSY, UNREACHABLE
from shared.contracts.events import ContextWanted

OWN_FIELDS = frozenset({"messages", "stream"})  # of a request, set by this kind only


class OpenAIOptions(Options):
    """The options of the kind `openai`."""

    base_url: str = Field(
        default="https://api.openai.com/v1",
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Base URL of the API, without `/chat/completions`",
    )
    model: str = Field(
        default="",
        max_length=200,
        description="Name of the model. Without one: the first for chat that the endpoint lists",
    )
    key: SecretName | None = Field(
        default=None, description="Name of the environment variable (or `…_FILE`) that holds the key; never the key"
    )
    system: str = Field(default="", max_length=20_000, description="System prompt")
    temperature: float | None = Field(default=None, ge=0, le=2, description="Sampling temperature")
    max_tokens: int | None = Field(
        default=None, ge=1, le=100_000, description="Maximum tokens of a reply. Above it the reply ends"
    )
    context_tokens: int | None = Field(
        default=None,
        ge=256,
        le=10_000_000,
        description="Estimated tokens of the model's context. Older messages that do not fit are left out",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of each request; no secrets")
    extra: dict[str, Any] = Field(default_factory=dict, description="Further fields of each request")

    @field_validator("extra")
    @classmethod
    def _leave_ours(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := OWN_FIELDS & extra.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be set")
        return extra

    @field_validator("headers")
    @classmethod
    def _keep_keys_out(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(name.lower() in ("authorization", "api-key", "x-api-key") for name in headers):
            raise ValueError("a key does not stand here; `key` names the variable that holds it")
        return headers

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        if self.context_tokens and (self.max_tokens or 0) * 2 > self.context_tokens:
            raise ValueError("max_tokens is more than half of context_tokens")
        return self

    def request(self) -> dict[str, Any]:
        """Return the fields of each request, without the messages."""
        fields = {"model": self.model or None, "temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in fields.items() if value is not None}, **self.extra}


class OpenAI(ModelChatbot):
    """A language model behind an endpoint."""

    def __init__(self, options: OpenAIOptions, completions: Completions) -> None:
        self._completions = completions
        self._request = options.request()
        self._unnamed = "model" not in self._request
        budget = options.context_tokens and options.context_tokens - (options.max_tokens or options.context_tokens // 4)
        super().__init__(LanguageModel(self._endpoint, request=self._request, system=options.system, budget=budget))

    async def open(self) -> None:
        """Do nothing: the first turn connects."""

    async def close(self) -> None:
        """Close the connections."""
        await self._completions.close()

    async def _endpoint(self) -> Completions:
        """Return the endpoint. It is queried once for its models, if the options name none."""
        if self._unnamed:
            if models := await self._models():
                self._request["model"] = models[0]
            self._unnamed = False
        return self._completions

    async def _models(self) -> list[str]:
        try:
            return await self._completions.models()
        except ReplyError as error:
            if error.view in (UNREACHABLE, BUSY):
                raise
            return []  # no list: a server of one model needs no name


def make(options: OpenAIOptions) -> OpenAI:
    """Create a chatbot.

    Raises:
        Unusable: the key is missing.
    """
    key = read_secret("key", options.key, options.base_url)
    return OpenAI(options, Completions(options.base_url.rstrip("/"), key=key, headers=options.headers))


KIND = Kind(
    options=OpenAIOptions,
    make=make,
    immediate=False,
    context=ContextWanted(messages=100, bytes=64 * 1024),
    concurrency=32,
)
