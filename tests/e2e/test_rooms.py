"""Sessions with several users and chatbots on two gateways: members, invites, presence, events (contract.md §3.3)."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from tests.e2e.conftest import CHATBOTS, OWN_KINDS, choose
from tests.e2e.rooms import (
    Message,
    Session,
    ascend,
    devices,
    gateway,
    messages,
    numbers,
    register,
    room,
    wait_for_messages,
)
from tests.e2e.stack_pool import StackPool
from tests.support.client import Account, Device, new_account
from tests.support.stack import Stack
from tests.support.waiting import until

THREE = ("ann", "ben", "cid")


@pytest.fixture(scope="module", params=OWN_KINDS)
def stack(request: pytest.FixtureRequest, stacks: StackPool, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack with the chatbots of `chatbots.toml`."""
    return choose(request, stacks, tmp_path_factory.mktemp(f"rooms-{request.param}"), CHATBOTS)


@pytest.fixture(scope="module")
def people(stack: Stack) -> list[Account]:
    """Ada, who owns the sessions, Bob and Carl."""
    return register(stack, 3)


async def answered(device: Device, session: Session, content: str, *chatbots: str) -> list[Message]:
    """Send a message, and wait for the replies of these chatbots."""
    asked = await device.send(session, content)

    def replies() -> list[Message]:
        return [m for m in messages(device, session) if m["sender_type"] == "chatbot" and m["reply_to"] == asked]

    await device.until_all(lambda: len(replies()) >= len(chatbots), f"fewer replies than {chatbots}")
    assert sorted(m["sender_id"] for m in replies()) == sorted(chatbots)
    return replies()


async def test_three_users_and_three_chatbots_see_the_same_under_each_reply_policy(
    stack: Stack, people: list[Account]
) -> None:
    async with devices(stack, people) as [ada, bob, carl]:
        session = await room(ada, bob, carl, chatbots=THREE)
        assert session["users"] == [account.id for account in people]
        await answered(ada, session, "nobody is named", "ann")
        await answered(bob, session, "but @Cid, now", "cid")
        for policy in ("all", "round_robin", "silent"):
            updated = (await ada.ok("update_chat", session_id=session["id"], reply_policy=policy))["session"]
            assert updated["reply_policy"] == policy
            if policy == "all":
                await answered(carl, session, "everybody", *THREE)
            elif policy == "round_robin":
                for device, chatbot in zip((ada, bob, carl, ada), (*THREE, "ann"), strict=True):
                    await answered(device, session, "in turn", chatbot)
        await bob.send(session, "to nobody")
        everything = await wait_for_messages(carl, session, 4 + 4 + 8 + 1)
        for device in (ada, bob, carl):
            assert await wait_for_messages(device, session, len(everything)) == everything
            assert ascend(device, session)
        assert await ada.history(session) == everything
        joined = await bob.ok("join_chat", session_id=session["id"])
    assert joined["active_replies"] == []
    assert (joined["session"]["reply_policy"], joined["last_seq"]) == ("silent", len(everything) + 3 + 2)


async def test_chatbots_that_mention_each_other_stop_after_four_turns(stack: Stack, people: list[Account]) -> None:
    """Messages of users are answered afterwards."""
    async with devices(stack, people[:1]) as [ada]:
        session = await room(ada, chatbots=("ann", "ben"), reply_policy="round_robin")
        await ada.send(session, "@ann and @ben, talk")
        chain = (await wait_for_messages(ada, session, 5))[1:]
        assert [m["sender_id"] for m in chain] == ["ann", "ben", "ann", "ben"]
        assert {m["content"] for m in chain} == {"@ann and @ben, talk"}
        await answered(ada, session, "and now", "ben")
        assert len(messages(ada, session)) == 7
        assert (await ada.ok("join_chat", session_id=session["id"]))["active_replies"] == []


async def test_owner_adds_and_removes_chatbots(stack: Stack, people: list[Account]) -> None:
    """Each change is sent to all members under its number; a repeated change has no effect."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob, chatbots=("ann",))
        about = {"session_id": session["id"], "chatbot_id": "ben"}
        for _ in range(2):
            changed = (await ada.ok("add_chatbot", **about))["session"]
            assert [bot["id"] for bot in changed["chatbots"]] == ["ann", "ben"]
        await answered(bob, session, "hello @ben", "ben")
        for _ in range(2):
            changed = (await ada.ok("remove_chatbot", **about))["session"]
            assert [bot["id"] for bot in changed["chatbots"]] == ["ann"]
        await answered(bob, session, "hello @ben", "ann")
        assert await bob.error("add_chatbot", about) == "forbidden"
        assert await ada.error("add_chatbot", {**about, "chatbot_id": "nobody"}) == "not_found"
        shown = [p["seq"] for name, p in bob.events if name == "session_updated" and p["id"] == session["id"]]
        assert [seq for seq in shown if seq > session["seq"]] == [2, 5]
        assert ascend(ada, session)
        assert ascend(bob, session)


async def test_invite_is_limited_to_max_uses(stack: Stack, people: list[Account]) -> None:
    """A member does not count as a use. Removing a user revokes all invites."""
    async with devices(stack, people) as [ada, bob, carl]:
        session = await room(ada)
        assert await bob.error("join_chat", {"session_id": session["id"]}) == "not_found"
        asked = await ada.ok("create_invite", session_id=session["id"], max_uses=1, expires_in=60)
        for device in (ada, bob, bob):
            accepted = (await device.ok("accept_invite", invite=asked["invite"]))["session"]
        assert accepted["users"] == [people[0].id, people[1].id]
        assert await carl.error("accept_invite", {"invite": asked["invite"]}) == "not_found"
        assert await bob.error("create_invite", {"session_id": session["id"]}) == "forbidden"
        other = (await ada.ok("create_invite", session_id=session["id"]))["invite"]
        assert (
            await carl.error("accept_invite", {"invite": other[:-1] + ("A" if other[-1] != "A" else "B")})
            == "not_found"
        )
        await ada.ok("remove_user", session_id=session["id"], user_id=people[1].id.upper())
        assert await carl.error("accept_invite", {"invite": other}) == "not_found"
        again = (await ada.ok("create_invite", session_id=session["id"]))["invite"]
        assert (await carl.ok("accept_invite", invite=again))["session"]["users"] == [people[0].id, people[2].id]


def received_events(device: Device, session: Session) -> list[str]:
    """Return the names of received events about a session."""
    return [name for name, p in device.events if session["id"] in (p.get("id"), p.get("session_id"))]


async def test_invite_expires(stack: Stack, people: list[Account]) -> None:
    """Members can use it to open the session after that."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada)
        asked = await ada.ok("create_invite", session_id=session["id"], expires_in=1)
        await until(lambda: datetime.fromisoformat(asked["expires_at"]) < datetime.now(UTC))
        assert await bob.error("accept_invite", {"invite": asked["invite"]}) == "not_found"
        assert (await ada.ok("accept_invite", invite=asked["invite"]))["session"]["id"] == session["id"]


@pytest.mark.parametrize("how", ["leave_session", "remove_user"])
async def test_former_member_receives_no_events(stack: Stack, people: list[Account], how: str) -> None:
    """On any device and gateway; each device gets `session_deleted`."""
    async with devices(stack, people[:2]) as [ada, bob], Device(gateway(stack, 0), people[1].token) as phone:
        session = await room(ada, bob)
        await phone.ok("join_chat", session_id=session["id"])
        if how == "leave_session":
            await bob.ok(how, session_id=session["id"])
        else:
            remaining = (await ada.ok(how, session_id=session["id"], user_id=people[1].id))["session"]
            assert remaining["users"] == [people[0].id]
        await phone.until("session_deleted")
        await bob.until("session_deleted")
        before = [received_events(phone, session), received_events(bob, session)]
        await ada.ok("set_typing", session_id=session["id"], typing=True)
        await ada.reply_to(await ada.send(session, "a secret"))
        for device in (phone, bob):
            assert await device.error("join_chat", {"session_id": session["id"]}) == "not_found"
            assert await device.error("send_message", {"session_id": session["id"], "content": "x"}) == "not_found"
            listed = (await device.ok("list_chats"))["sessions"]
            assert session["id"] not in [each["id"] for each in listed]
        assert [received_events(phone, session), received_events(bob, session)] == before


async def test_ownership_passes_to_next_member_and_last_leave_deletes_session(
    stack: Stack, people: list[Account]
) -> None:
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob)
        await ada.ok("leave_session", session_id=session["id"])
        passed = await bob.until("session_updated", lambda s: s["id"] == session["id"] and s["users"] == [people[1].id])
        assert passed["owner_id"] == people[1].id
        await bob.ok("update_chat", session_id=session["id"], reply_policy="silent")
        await bob.ok("leave_session", session_id=session["id"])
        await bob.until("session_deleted")
        assert await bob.error("send_message", {"session_id": session["id"], "content": "x"}) == "not_found"


async def test_deleted_session_stays_deleted(stack: Stack, people: list[Account]) -> None:
    """For joined and other devices; its id is not used again."""
    async with devices(stack, people[:2]) as [ada, bob], Device(gateway(stack, 1), people[0].token) as phone:
        request = {"client_request_id": "deleted"}
        session = await room(ada, bob, **request)
        await ada.reply_to(await ada.send(session, "soon forgotten"))
        assert await bob.error("delete_chat", {"session_id": session["id"]}) == "forbidden"
        await ada.ok("delete_chat", session_id=session["id"])
        for device in (ada, bob, phone):
            await device.until("session_deleted", lambda gone: gone == {"session_id": session["id"]})
            for event in ("join_chat", "get_messages", "delete_chat", "leave_session"):
                assert await device.error(event, {"session_id": session["id"]}) == "not_found"
        assert await ada.error("start_chat", request) == "not_found"


async def test_any_member_sets_the_title(stack: Stack, people: list[Account]) -> None:
    """Setting the same title again uses no sequence number."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob, title=None)
        for _ in range(2):
            named = (await bob.ok("update_chat", session_id=session["id"], title="Ours"))["session"]
        assert (named["title"], named["seq"]) == ("Ours", session["seq"] + 1)
        assert await bob.error("update_chat", {"session_id": session["id"], "reply_policy": "all"}) == "forbidden"
        await ada.until("session_updated", lambda s: s["title"] == "Ours")
        await ada.reply_to(await ada.send(session, "a first message"))
        listed = (await ada.ok("list_chats", limit=1))["sessions"]
        assert [each["title"] for each in listed] == ["Ours"]


async def test_read_mark_only_grows_and_is_shown_to_members(stack: Stack, people: list[Account]) -> None:
    """It is limited to the last message."""
    async with devices(stack, people[:2]) as [ada, bob]:
        session = await room(ada, bob)
        for number in range(3):
            await ada.reply_to(await ada.send(session, f"message {number}"))
        last = numbers(ada, session)[-1]
        for seq in (1, 3, 2, 4, last + 1_000):
            await bob.ok("mark_read", session_id=session["id"], seq=seq)
        await ada.until("read", lambda mark: mark["seq"] == last)
        marks = [p for _, p in ada.received("read", session=session)]
        assert {mark["user_id"] for mark in marks} == {people[1].id}
        assert [mark["seq"] for mark in marks] == sorted({mark["seq"] for mark in marks})
        for device, expected in ((bob, last), (ada, 0)):
            [listed] = [s for s in (await device.ok("list_chats"))["sessions"] if s["id"] == session["id"]]
            assert listed["read_seq"] == expected
        assert (await bob.ok("join_chat", session_id=session["id"]))["session"]["read_seq"] == last


async def test_typing_is_sent_to_joined_devices_of_members(stack: Stack, people: list[Account]) -> None:
    """The last state is always sent; typing is not stored."""
    async with devices(stack, people[:2]) as [ada, bob], Device(gateway(stack, 0), people[0].token) as phone:
        session = await room(ada, bob)
        for number in range(21):
            await bob.ok("set_typing", session_id=session["id"], typing=number < 20)
        await ada.until("typing", lambda shown: not shown["typing"])
        seen = [p for _, p in ada.received("typing", session=session)]
        assert seen[0] == {
            "session_id": session["id"],
            "sender_type": "user",
            "sender_id": people[1].id,
            "typing": True,
        }
        assert phone.received("typing", session=session) == []
        assert (await ada.ok("join_chat", session_id=session["id"]))["last_seq"] == session["last_seq"]


async def test_presence_is_shown_across_gateways(stack: Stack, people: list[Account]) -> None:
    """On connect and on disconnect of a member."""

    def seen(device: Device, *accounts: Account) -> bool:
        lists = [p["users"] for _, p in device.received("presence", session=session)]
        return lists[-1:] == [sorted(account.id for account in accounts)]

    async with devices(stack, people[:1]) as [ada]:
        async with Device(gateway(stack, 1), people[1].token) as bob:
            session = await room(ada, bob)
            for device in (ada, bob):
                await device.until_all(lambda device=device: seen(device, *people[:2]), "bob is not seen")
        await ada.until_all(lambda: seen(ada, people[0]), "bob is still seen")


async def test_messages_of_deleted_account_are_erased(stack: Stack, people: list[Account]) -> None:
    """In the history and on joined devices; replies and sequence numbers remain."""
    leaver = await new_account(stack.auth_url)
    async with devices(stack, [people[0], leaver]) as [ada, gone]:
        session = await room(ada, gone)
        asked = await gone.send(session, "forget me")
        reply = await ada.reply_to(asked)
        async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=20) as http:
            bearer = {"Authorization": f"Bearer {leaver.token}"}
            deleted = await http.request("DELETE", "/me", json={"passcode": leaver.passcode}, headers=bearer)
        assert deleted.status_code == 204, deleted.text
        erased = await ada.until("message_updated", lambda m: m["id"] == asked)
        assert (erased["content"], erased["status"], erased["seq"]) == ("", "erased", 2)
        left = await ada.until("session_updated", lambda s: s["id"] == session["id"] and s["seq"] > session["seq"])
        assert left["users"] == [people[0].id]
        history = await ada.history(session)
        assert [(m["id"], m["content"]) for m in history] == [(asked, ""), (reply["id"], "forget me")]
        assert ascend(ada, session)
        await until(lambda: not gone.client.connected)
