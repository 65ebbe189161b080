"""Structured logs on standard error, as console lines or JSON, without secrets.

A thread writes them, so that a reader that stops reading does not stop the service (`log_writer`). No code passes texts
of messages, passcodes or tokens to a logger; `redact` is the second line of defence.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

from shared.runtime.log_repeats import Repeats
from shared.runtime.log_writer import LogWriter

SECRET_FIELDS = frozenset(
    {"passcode", "current_passcode", "new_passcode", "token", "access_token", "refresh_token", "authorization"}
    | {"content", "text", "body", "data", "password"}
)
JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]+:)[^@\s]+@")
QUIET = (
    *("socketio", "socketio.server", "engineio", "engineio.server", "aiormq", "aio_pika", "alembic", "httpx2"),
    *(
        "httpcore2",
        "uvicorn",
        "uvicorn.error",
        "aiosqlite",
    ),  # they log URLs with queries, frames, and parameters of statements
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace secret fields, and tokens and passwords inside other strings."""
    for name, value in event.items():
        if name in SECRET_FIELDS:
            event[name] = "[redacted]"
        elif isinstance(value, str):
            event[name] = URL_PASSWORD.sub(r"\1***@", JWT.sub("[token]", value))
    return event


def configure(service: str, *, level: str, form: str) -> None:
    """Configure structlog and the standard library's loggers, once in a process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Any] = [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    if form == "console":
        colours = sys.stderr.isatty()
        final = [structlog.processors.format_exc_info, redact, structlog.dev.ConsoleRenderer(colors=colours)]
    repeats = Repeats()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            repeats,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)  # before the thread, which inherits it
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler = _handler(formatter, repeats, shared)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    flush()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:  # at lower levels they log packets, including tokens
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def flush() -> None:
    """Write what is queued, before the process ends without its exit handlers."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogWriter):
            handler.close()


def _handler(formatter: logging.Formatter, repeats: Repeats, processors: Iterable[Any]) -> logging.Handler:
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # replaced by an object without a file, as in tests
        return logging.StreamHandler(sys.stderr)

    def dropped(lines: int) -> str:
        source = logging.getLogger(__name__)
        event: dict[str, Any] = {"event": "log.dropped", "lines": lines}
        for processor in processors:
            event = processor(source, "warning", event)
        record = logging.makeLogRecord({"msg": event, "_logger": source, "_name": "warning"})
        return formatter.format(record)

    return LogWriter(descriptor, dropped=dropped, idle=repeats.flush)
