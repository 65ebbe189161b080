"""One budget for a user, however many gateways his devices are on; tests/unit/chat_gateway/domain/test_rate_limits.py has the sums."""

from __future__ import annotations

import pytest

from chat_gateway.events import budgets
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import UserSpent
from shared.contracts.topology import user_key
from tests.integration.chat_gateway.conftest import Running
from tests.support.waiting import until


async def test_spending_of_a_busy_user_is_announced_and_deducted(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both directions between gateways; announcements of this gateway are ignored."""
    monkeypatch.setattr(budgets, "ANNOUNCE_EVERY", 0.2)
    await gateway.start(events_per_second=1, events_burst=20)
    ada, bob = await gateway.client("ada"), await gateway.client("bob")
    for _ in range(10):
        assert (await ada.call("list_chats", {}))["ok"]

    def told() -> int:
        return sum(spent.events for _, spent in gateway.bus.streamed if isinstance(spent, UserSpent))

    await until(lambda: told() == 10)
    assert (await ada.call("list_chats", {}))["ok"]  # its announcement was delivered to it before this
    elsewhere = UserSpent(user_id="ada", gateway="another", events=1_000)
    gateway.bus.subscription.put(user_key(ids.bucket("ada", 4)), Event("chat_gateway", elsewhere))
    await until(lambda: not gateway.bus.subscription._batches)
    for _ in range(3):  # the delivery is on its way through the gateway
        ack = await ada.call("list_chats", {})
    assert ack["error"]["code"] == "rate_limited"
    assert 2 < ack["error"]["retry_after"] <= 4  # a quarter of the rate is left
    assert (await bob.call("list_chats", {}))["ok"]


async def test_ordinary_user_is_not_announced(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "ANNOUNCE_EVERY", 0.05)
    await gateway.start(events_per_second=1_000)
    ada = await gateway.client("ada")
    for _ in range(5):
        assert (await ada.call("list_chats", {}))["ok"]
    spending = gateway.server._callbacks._events._budgets
    await until(lambda: not spending._spent)
    assert not [spent for _, spent in gateway.bus.streamed if isinstance(spent, UserSpent)]
