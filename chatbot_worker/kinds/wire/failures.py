"""The failures of a provider: for each a `ReplyError` with a stable code and a message for users. Pure."""

from __future__ import annotations

import re

from chatbot_worker.chatbots.protocol import ReplyError
from shared.contracts.views import ErrorView

RETRY_AFTER_MAX = 3_600.0  # seconds; longer waits are shortened to it
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
    """Return the error of a provider that cannot be reached."""
    return ReplyError(reason, view=UNREACHABLE)


def interrupted(reason: str) -> ReplyError:
    """Return the error of a response that broke off."""
    return ReplyError(reason, view=INTERRUPTED)


def broken(reason: str) -> ReplyError:
    """Return the error of a provider that fails or sends an invalid response."""
    return ReplyError(reason, view=BROKEN)


def refused(reason: str) -> ReplyError:
    """Return the error of a provider that refuses this turn; it is not retried."""
    return ReplyError(reason, retryable=False, view=REFUSED)


def misconfigured(reason: str) -> ReplyError:
    """Return the error of a wrong configuration. It counts for the circuit breaker, so that a fallback can answer."""
    return ReplyError(reason, view=NOT_SET_UP)


def of_status(status: int, retry_after: str | None = None) -> ReplyError:
    """Map an HTTP status other than success to an error. `retry_after` is the header of that name."""
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
    """Parse `Retry-After` in seconds. Its other form, a date, is ignored."""
    if header is None or SECONDS.fullmatch(header.strip()) is None:
        return None
    return min(float(header), RETRY_AFTER_MAX)
