"""The process of a local language model: llama.cpp's server on loopback. Run by path; imports nothing of ours.

Standard input: one line of JSON (`model`, `context`, `parallel`, `threads`, `key`), then nothing for as long as
it is to run; its end, which comes however the parent ends, ends this process. Standard output: one line of
JSON, `{"address"}` or `{"error"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from importlib import import_module
from typing import Any

NICE = 5  # so that a model at work never takes the CPU from what serves sockets


def main() -> None:
    """Serve until standard input ends."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # llama.cpp may print what it likes
    wanted = json.loads(sys.stdin.readline())
    watcher = threading.Thread(target=_end_with_the_parent, daemon=True)
    watcher.start()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        server = _serve(wanted)
        told = {"address": server.listening_address}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
        told = {"error": f"{type(error).__name__}: {error}"[:500]}
    output.write(json.dumps(told) + "\n")
    output.flush()
    watcher.join()


def _end_with_the_parent() -> None:
    """Wait for the end of standard input, then go at once, whatever the threads of C++ do."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)


def parameters(model: str, *, context: int, parallel: int, threads: int) -> Any:
    """llama.cpp's, for a server that does this and nothing else; where it listens is up to the caller.

    Args:
        model: A GGUF file.
        context: Tokens of one prompt and its reply.
        parallel: Replies that it writes at the same time.
        threads: How many compute.

    Raises:
        ImportError: llama.cpp is not installed.
    """
    params = import_module("xllamacpp").CommonParams()
    params.model.path = model
    params.n_parallel = parallel
    params.n_ctx = context * parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = parallel + 2  # one a stream, and two to say no with
    params.cache_ram_mib = 0  # else prompts of the past take up to 8 GiB
    params.fit_params = False  # the context is what it was said to be
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 0
    return params


def _serve(wanted: dict[str, Any]) -> Any:
    key = wanted.pop("key")
    params = parameters(**wanted)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    return import_module("xllamacpp").Server(params)


if __name__ == "__main__":
    main()
