"""The rules of refreshing, alone; and as whatever a client, a thief and time may do, on a real store."""

import asyncio
import secrets
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from auth_service import app
from auth_service.accounts import User
from auth_service.login_store import LoginStore
from auth_service.logins import Issue, Login, Rotation
from auth_service.refresh_tokens import RefreshTokens
from auth_service.rotation import Presented, Verdict, judge
from auth_service.store import AccountStore
from auth_service.tables import SCHEMA
from auth_service.transactions import Transactions
from shared.database.engine import open_engine, sqlite_url

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LIFETIME = timedelta(days=30)
TEN_SECONDS = timedelta(seconds=10)  # the contract's grace
LATER, LONG_AGO = NOW + LIFETIME, NOW - LIFETIME


@pytest.mark.parametrize(
    ("token", "verdict"),
    [
        (Presented(LATER, None, successor_waits=False), Verdict.ROTATE),
        (Presented(NOW, None, successor_waits=False), Verdict.EXPIRED),
        (Presented(LATER, NOW, successor_waits=True), Verdict.REPEAT),
        (Presented(LATER, NOW - TEN_SECONDS, successor_waits=True), Verdict.REPEAT),
        (Presented(LATER, NOW + timedelta(seconds=2), successor_waits=True), Verdict.REPEAT),
        (Presented(LATER, NOW - TEN_SECONDS - timedelta(milliseconds=1), successor_waits=True), Verdict.REUSED),
        (Presented(LATER, NOW, successor_waits=False), Verdict.REUSED),
        (Presented(LONG_AGO, LONG_AGO, successor_waits=True), Verdict.REUSED),
    ],
)
def test_the_verdict(token: Presented, verdict: Verdict) -> None:
    assert judge(token, NOW) is verdict


def test_refresh_tokens_are_long_and_only_the_key_makes_a_successor() -> None:
    ours, theirs = RefreshTokens(b"k" * 32), RefreshTokens(b"x" * 32)
    tokens = {ours.new() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(len(token) == 43 and token.isascii() for token in tokens)
    token = tokens.pop()
    assert ours.successor(token) == ours.successor(token) != theirs.successor(token)
    assert len(ours.successor(token)) == 43
    assert len(ours.digest(token)) == 32


@cache
def migrated() -> bytes:
    """A database with its tables and Alice, made once."""
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        file = Path(home) / "auth.db"
        engine = open_engine(sqlite_url(file), schema=SCHEMA)
        runner.run(app.migrate(engine))
        runner.run(AccountStore(Transactions(engine)).add_user(User("alice", NOW, ("user",)), "a hash"))
        runner.run(engine.dispose())
        return file.read_bytes()


@dataclass
class Family:
    """What the contract says of one login's tokens, in order; `rotated` has a moment for each but the newest."""

    sid: str
    tokens: list[str]
    rotated: list[datetime] = field(default_factory=list)
    expires_at: datetime = LATER
    stands: bool = True


class Refreshing(RuleBasedStateMachine):
    """Clients refresh, repeat, come late and are robbed; a model says what each of them must get."""

    families = Bundle("families")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.home = tempfile.TemporaryDirectory()
        file = Path(self.home.name) / "auth.db"
        file.write_bytes(migrated())
        self.engine = open_engine(sqlite_url(file), schema=SCHEMA)
        self.store = LoginStore(Transactions(self.engine))
        self.refresh_tokens = RefreshTokens(b"k" * 32)
        self.now = NOW
        self.known: list[Family] = []

    def teardown(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()
        self.home.cleanup()

    def issue(self, token: str) -> Issue:
        digest = self.refresh_tokens.digest(token)
        return Issue(digest, self.now, self.now + timedelta(minutes=15), self.now + LIFETIME)

    def present(self, token: str) -> Rotation | None:
        successor = self.issue(self.refresh_tokens.successor(token))
        return self.runner.run(self.store.rotate(self.refresh_tokens.digest(token), successor))

    @precondition(lambda self: sum(family.stands for family in self.known) < 2)
    @rule(target=families)
    def log_in(self) -> Family:
        token, sid = self.refresh_tokens.new(), secrets.token_hex(8)
        login = Login(sid, "alice", None, self.now, self.now, self.now + LIFETIME)
        assert self.runner.run(self.store.begin(login, 0, self.issue(token)))
        self.known.append(Family(sid, [token], expires_at=self.now + LIFETIME))
        return self.known[-1]

    @rule(family=families, times=st.integers(1, 3))
    def refresh(self, family: Family, times: int) -> None:
        for _ in range(times):
            self.refresh_once(family)

    def refresh_once(self, family: Family) -> None:
        rotation = self.present(family.tokens[-1])
        if not family.stands:
            assert rotation is None
            return
        assert rotation is not None
        if self.now >= family.expires_at:
            assert rotation.verdict is Verdict.EXPIRED
            return
        assert (rotation.verdict, rotation.sid, rotation.user_id) == (Verdict.ROTATE, family.sid, "alice")
        family.tokens.append(self.refresh_tokens.successor(family.tokens[-1]))
        family.rotated.append(self.now)
        family.expires_at = rotation.refresh_expires_at
        assert family.expires_at == self.now + LIFETIME

    @rule(family=families, back=st.integers(2, 4))
    def come_again_with_an_old_one(self, family: Family, back: int) -> None:
        if len(family.tokens) < back:
            return
        rotation = self.present(family.tokens[-back])
        if not family.stands:
            assert rotation is None
            return
        assert rotation is not None
        in_time = self.now - family.rotated[-back + 1] <= TEN_SECONDS
        if back == 2 and in_time:
            assert (rotation.verdict, rotation.refresh_expires_at) == (Verdict.REPEAT, family.expires_at)
        else:
            assert rotation.verdict is Verdict.REUSED
            family.stands = False

    @rule(guess=st.sampled_from(["", "x" * 43]))
    def guess(self, guess: str) -> None:
        assert self.present(guess or self.refresh_tokens.new()) is None

    @rule(family=families)
    def log_out(self, family: Family) -> None:
        assert self.runner.run(self.store.revoke("alice", family.sid, self.now)) is (
            family.stands and self.now < family.expires_at
        )
        family.stands = family.stands and self.now >= family.expires_at

    @rule(seconds=st.sampled_from([1, 9, 10, 11, 3600, 15 * 86_400]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def exactly_the_families_that_stand_can_ask(self) -> None:
        for family in self.known[-2:]:
            user = self.runner.run(self.store.session("alice", family.sid))
            assert (user is not None) is family.stands


TestRefreshing = Refreshing.TestCase
TestRefreshing.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
