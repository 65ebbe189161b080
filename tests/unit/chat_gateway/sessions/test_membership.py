"""Members join and leave while deliveries are lost, repeated or late: no socket sees what its user may not see.

A joined socket that was not notified otherwise misses nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chat_gateway.identity.authentication import Identity
from chat_gateway.sessions.session_state import Change, ServedSession, Subscriber
from chat_gateway.transport.frames import Frame
from chat_gateway.transport.wire import payload_of
from shared.errors import NotFound

USERS = ("ada", "bob")


IDENTITY = Identity("ada", "login", "token", 0.0, 900.0)  # of a user: the name does not matter here


@dataclass(eq=False)
class Device:
    """A socket. `since`: the number as of which it joined, if it was not notified of a removal since."""

    user_id: str
    machine: MembershipMachine
    joined: set[str] = field(default_factory=set)
    last: int = 0  # the newest number that it was shown, or that its join covered
    since: int | None = None
    open = receives = True
    follows: str | None = None
    identity: Identity = IDENTITY

    def send(self, frame: Frame) -> None:
        name, payload = json.loads(payload_of(frame.wire)[2:])
        number = payload["seq"] if name == "session_updated" else payload["updated_seq"]
        assert number > self.last, "a repeat"
        assert self.machine.may_see(self.user_id, number), "shown to a stranger"
        assert number == self.last + 1 or self.machine.covered(self.last, number), "a hole"
        self.last = number


@dataclass
class Join:
    """A join under way; `view` is what it has read."""

    device: Device
    subscriber: Subscriber
    view: dict[str, Any]


class MembershipMachine(RuleBasedStateMachine):
    """A history as persistence writes it, and a gateway that hears of it as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.session = ServedSession(uuid4(), 0)
        self.history: list[Change] = []
        self.members: list[tuple[str, ...]] = [USERS]  # as of each number
        self.session_seq = [0]  # the session's own latest change, as of each number
        self.farewells: list[tuple[str, int]] = []  # removed users to notify, with the removal's number
        self.devices = [Device(user, self) for user in (*USERS, "bob")]
        self.joins: list[Join] = []
        self.reading_from: int | None = None

    # --- what is so ---

    def now(self) -> int:
        return len(self.history)

    def view(self) -> dict[str, Any]:
        now = self.now()
        return {"users": list(self.members[now]), "seq": self.session_seq[now], "last_seq": now}

    def may_see(self, user: str, number: int) -> bool:
        """A member, also a former one, may read everything that was stored before the membership ended."""
        return any(user in members for members in self.members[number:])

    def covered(self, last: int, number: int) -> bool:
        """Whether all between were changes of the session that changed again since."""
        between = self.history[last : number - 1]
        return all(name == "session_updated" for name, _ in between)

    # --- what happens ---

    @initialize(served=st.booleans())
    def it_may_be_served_already(self, served: bool) -> None:  # noqa: FBT001
        if served:
            self.session.load(self.view())

    @rule()
    def a_message_is_stored(self) -> None:
        self.members.append(self.members[-1])
        self.session_seq.append(self.session_seq[-1])
        self.history.append(("message", {"updated_seq": self.now() + 1, "seq": self.now() + 1}))

    @rule()
    def bob_comes_or_goes(self) -> None:
        user = "bob"
        before = self.members[-1]
        if user in before:
            self.farewells.append((user, self.now() + 1))
            after = tuple(each for each in before if each != user)
        else:
            after = (*before, user)
        number = self.now() + 1
        self.members.append(after)
        self.session_seq.append(number)
        self.history.append(("session_updated", {"users": list(after), "seq": number}))

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def a_run_is_delivered(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(1, self.now()))
        last = data.draw(st.integers(first, self.now()))
        for number in range(first, last + 1):
            self.session.release(self.session.cursor.arrived(number, self.history[number - 1]))

    @precondition(lambda self: self.history)
    @rule()
    def all_is_delivered(self) -> None:
        for number, change in enumerate(self.history, 1):
            self.session.release(self.session.cursor.arrived(number, change))

    @precondition(lambda self: self.farewells)
    @rule()
    def somebody_is_told_to_have_gone(self) -> None:
        user, number = self.farewells.pop(0)
        self.session.remove_member(user, number)
        for device in self.devices:
            if device.user_id == user and not self.session.has_joined(device):
                device.since = None

    @rule(number=st.integers(0, 2))
    def a_join_begins(self, number: int) -> None:
        """And reads, in the same moment."""
        device = self.devices[number]
        if any(join.device is device for join in self.joins) or device.user_id not in self.members[-1]:
            return
        subscriber = self.session.subscribers.setdefault(device, Subscriber(device))
        subscriber.joins += 1
        subscriber.begin_join()
        self.joins.append(Join(device, subscriber, self.view()))

    @precondition(lambda self: self.joins)
    @rule()
    def a_join_is_answered(self) -> None:
        join = self.joins[0]
        view, subscriber, device = join.view, join.subscriber, join.device
        self.session.release(self.session.load(view))
        try:
            self.session.check_current(device.user_id, view)
        except NotFound:
            self.end(join)
            return
        if not subscriber.removed:

            def acknowledge() -> None:
                device.last = max(device.last, view["last_seq"])
                device.since = view["last_seq"]

            subscriber.complete_join(view["last_seq"], acknowledge)
        self.end(join)

    def end(self, join: Join) -> None:
        """As `Sessions` does."""
        self.joins.remove(join)
        join.subscriber.cancel_join()
        join.subscriber.joins -= 1
        if not join.subscriber.joined:
            del self.session.subscribers[join.device]

    @precondition(lambda self: self.session.cursor.needs_read)
    @rule()
    def a_read_begins(self) -> None:
        self.reading_from = self.session.cursor.begin_read()

    @precondition(lambda self: self.reading_from is not None)
    @rule()
    def a_read_ends(self) -> None:
        assert self.reading_from is not None
        view = self.view()
        self.session.set_members(view["users"], view["seq"])
        found = [(n, self.history[n - 1]) for n in range(self.reading_from + 1, self.now() + 1)]
        found = [(n, change) for n, change in found if change[0] == "message" or n == view["seq"]]
        self.reading_from = None
        self.session.release(self.session.cursor.read(found, self.now(), more=False))

    @invariant()
    def who_has_gone_for_good_receives_not_even_what_has_no_number(self) -> None:
        """Deltas and typing are sent to the joined sockets."""
        if not self.farewells:
            for device in self.devices:
                assert device.user_id in self.members[-1] or not self.session.has_joined(device)

    @invariant()
    def who_receives_it_was_a_member_of_what_has_been_shown(self) -> None:
        for device in self.devices:
            if self.session.has_joined(device) and self.session.cursor.released is not None:
                assert device.user_id in self.session.members or device.last >= self.session.cursor.released

    def teardown(self) -> None:
        """All is heard in the end: who still receives it is a member, and has all of it."""
        while self.joins:
            self.a_join_is_answered()
        if not self.session.loaded:
            return
        self.session.cursor.head_announced(self.now())
        while self.reading_from is not None or self.session.cursor.needs_read:
            if self.reading_from is None:
                self.a_read_begins()
            self.a_read_ends()
        for device in self.devices:
            if device.since is not None and all(device.user_id in users for users in self.members[device.since :]):
                assert self.session.has_joined(device), "cut off, and not told"
            if self.session.has_joined(device):
                assert device.user_id in self.members[-1]
                assert device.last == self.now() or self.covered(device.last, self.now() + 1)


MembershipMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestMembership = MembershipMachine.TestCase
