"""The errors with which a reply can end, as its readers see them."""

from __future__ import annotations

from shared.contracts.views import ErrorView

TIMEOUT = ErrorView(code="timeout", message="The chatbot took too long to answer.")
CHATBOT_FAILED = ErrorView(code="chatbot_failed", message="The chatbot could not answer. Try again in a moment.")
EMPTY_REPLY = ErrorView(code="empty_reply", message="The chatbot had nothing to say.")
UNAVAILABLE = ErrorView(
    code="chatbot_unavailable", message="The chatbot is not available just now. Try again in a moment."
)
LENGTH = ErrorView(code="length", message="The model reached its limit, so the reply ends here.")
LENGTH_BEFORE_TEXT = ErrorView(code="length", message="The model reached its limit before it began to answer.")
TOO_LONG = ErrorView(code="too_long", message="The reply was longer than a message may be, so it ends here.")
