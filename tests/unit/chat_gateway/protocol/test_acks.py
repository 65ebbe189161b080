"""Acks: their envelope, and the codes that clients may receive."""

from __future__ import annotations

from chat_gateway.protocol import acks
from shared.errors import CATALOGUE, RateLimited, UserExists


def test_acks_have_only_the_documented_codes() -> None:
    assert acks.accepted({"a": 1}) == {"ok": True, "a": 1}
    assert acks.refused(RateLimited("slow down", retry_after=0.02)) == {
        "ok": False,
        "error": {"code": "rate_limited", "message": "slow down", "retry_after": 0.02},
    }
    assert acks.refused(UserExists())["error"]["code"] == "internal"
    codes = {acks.refused(error())["error"]["code"] for error in CATALOGUE.values()}
    assert codes == acks.ACK_CODES
