"""The process of a local language model: llama.cpp's server on loopback. Run by path; imports no module of Backchat.

Standard input: one line of JSON (`model`, `context`, `parallel`, `threads`, `key`), then nothing. When it ends, as it
does at any end of the parent, this process ends too. Standard output: one line of JSON, `{"address"}` or `{"error"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from importlib import import_module
from typing import Any

NICE = 5  # lower priority, so that the model takes no CPU from the services


def main() -> None:
    """Serve until standard input ends."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # llama.cpp prints to standard output
    wanted = json.loads(sys.stdin.readline())
    watcher = threading.Thread(target=_end_with_the_parent, daemon=True)
    watcher.start()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        server = _serve(wanted)
        answer = {"address": server.listening_address}
    except Exception as error:  # noqa: BLE001 - every error is reported to the parent
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    output.write(json.dumps(answer) + "\n")
    output.flush()
    watcher.join()


def _end_with_the_parent() -> None:
    """Wait for the end of standard input, then end at once, without waiting for the threads of C++."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)


def parameters(model: str, *, context: int, parallel: int, threads: int) -> Any:
    """Return llama.cpp's parameters for a server without further features. The caller sets the address.

    Args:
        model: path of a GGUF file.
        context: tokens of one prompt and its reply.
        parallel: replies at the same time.
        threads: that compute.

    Raises:
        ImportError: llama.cpp is not installed.
    """
    params = import_module("xllamacpp").CommonParams()
    params.model.path = model
    params.n_parallel = parallel
    params.n_ctx = context * parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = parallel + 2  # one for each stream, and two for refusals
    params.cache_ram_mib = 0  # else cached prompts take up to 8 GiB
    params.fit_params = False  # keep the requested context size
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
