"""How talking to a provider fails: for each case one `ReplyError`, with a stable code and words for a person. Pure."""

from __future__ import annotations

import re

from chatbot_worker.chatbots.protocol import ReplyError
from shared.contracts.views import ErrorView

RETRY_AFTER_MAX = 3_600.0  # seconds; what asks for more is asked again after that
SECONDS = re.compile(r"\d{1,9}(\.\d+)?")

UNREACHABLE = ErrorView(
    code="provider_unavailable", message="What this chatbot runs on cannot be reached. Try again in a moment."
)
BUSY = ErrorView(code="provider_busy", message="This chatbot has too much to do right now. Try again in a moment.")
NOT_SET_UP = ErrorView(
    code="provider_misconfigured", message="This chatbot is not set up correctly. Tell whoever runs this site."
)
BROKEN = ErrorView(code="provider_failed", message="What this chatbot runs on made an error. Try again in a moment.")
INTERRUPTED = ErrorView(code="reply_interrupted", message="The reply broke off before it was complete.")
REFUSED = ErrorView(code="provider_refused", message="What this chatbot runs on refused to answer this.")


def unreachable(reason: str) -> ReplyError:
    """There was no connection, or none in time."""
    return ReplyError(reason, view=UNREACHABLE)


def interrupted(reason: str) -> ReplyError:
    """The answer began and did not end."""
    return ReplyError(reason, view=INTERRUPTED)


def broken(reason: str) -> ReplyError:
    """The provider says that it failed, or what it says makes no sense."""
    return ReplyError(reason, view=BROKEN)


def refused(reason: str) -> ReplyError:
    """The provider will not answer this very turn, however often it is asked."""
    return ReplyError(reason, retryable=False, view=REFUSED)


def misconfigured(reason: str) -> ReplyError:
    """Every turn will fail until somebody changes the configuration; held against the provider, so a fallback helps."""
    return ReplyError(reason, view=NOT_SET_UP)


def of_status(status: int, retry_after: str | None = None) -> ReplyError:
    """What an HTTP status other than success means; `retry_after` is that header."""
    reason = f"status {status}"
    if status == 429:
        return ReplyError(reason, retry_after=_seconds(retry_after), view=BUSY)
    if status == 503:
        return ReplyError(reason, retry_after=_seconds(retry_after), view=UNREACHABLE)
    if status in (400, 413, 422):
        return refused(reason)
    if status in (401, 402, 403, 404, 405, 407, 410) or 300 <= status < 400:
        return misconfigured(reason)
    return broken(reason)


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is no more than a hint and not worth a clock."""
    if header is None or SECONDS.fullmatch(header.strip()) is None:
        return None
    return min(float(header), RETRY_AFTER_MAX)
