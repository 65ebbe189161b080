"""The failures of a provider: for each a `ReplyError` with a stable code and a message for users. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chatbot_worker.chatbots.protocol import ReplyError
from shared.contracts.views import ErrorView

RETRY_AFTER_MAX = 3_600.0  # seconds; longer waits are shortened to it
NUMBER = re.compile(r"\d{1,12}(\.\d+)?")
BUSY_STATUSES = (429, 498, 529)  # 498: Groq, 529: Anthropic

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
FILTERED = ErrorView(code="provider_refused", message="A content filter of what this chatbot runs on ended this reply.")
OVERFLOW = ErrorView(code="provider_refused", message="This is too long for what this chatbot runs on.")


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


def filtered(reason: str) -> ReplyError:
    """Return the error of a content filter; the turn is not retried."""
    return ReplyError(reason, retryable=False, view=FILTERED)


def misconfigured(reason: str) -> ReplyError:
    """Return the error of a wrong configuration.

    A retry does not help, but it counts for the circuit breaker, and a fallback answers.
    """
    return ReplyError(reason, retryable=False, refused=False, view=NOT_SET_UP)


def busy(reason: str, retry_after: float | None = None) -> ReplyError:
    """Return the error of a provider that asks to be queried later. `retry_after`: seconds."""
    return ReplyError(reason, retry_after=retry_after, view=BUSY)


def of_status(status: int, code: str = "", retry_after: float | None = None) -> ReplyError:
    """Map an HTTP status other than success to an error. `code`: from the body, for the log."""
    reason = f"status {status}" + (f", {code}" if code else "")
    if status in BUSY_STATUSES:
        return busy(reason, retry_after)
    if status == 503:
        return ReplyError(reason, retry_after=retry_after, view=UNREACHABLE)
    if status in (400, 413, 422):
        return refused(reason)
    if status in (401, 402, 403, 404, 405, 407, 410, 501) or 300 <= status < 400:
        return misconfigured(reason)
    return broken(reason)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait that a response asks for; none if it does not.

    `Retry-After` is a number of seconds or a date (RFC 9110 §10.2.3). A date is compared with the response's own
    `Date`, as far as there is one, because the clocks may differ. `retry-after-ms` is OpenAI's and Azure's.
    """
    milliseconds, header = headers.get("retry-after-ms", ""), headers.get("Retry-After", "").strip()
    if NUMBER.fullmatch(milliseconds.strip()):
        return min(float(milliseconds) / 1_000, RETRY_AFTER_MAX)
    if NUMBER.fullmatch(header):
        return min(float(header), RETRY_AFTER_MAX)
    if (date := _date(header)) is None:
        return None
    asked = (date - (_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(asked, 0.0), RETRY_AFTER_MAX)


def _date(header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
