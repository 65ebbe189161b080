"""The rules of refresh rotation: as pure functions, and by random actions of clients and thieves on a real store."""

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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auth_service import app
from auth_service.crypto.refresh_tokens import RefreshTokens
from auth_service.domain.logins import Login, Rotation, TokenIssue
from auth_service.domain.refresh_rotation import Presented, Verdict, judge
from auth_service.domain.users import User
from auth_service.storage.account_store import AccountStore
from auth_service.storage.login_store import LoginStore
from auth_service.storage.tables import SCHEMA
from auth_service.storage.transactions import Transactions
from shared.database.engine import open_engine, sqlite_url

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LIFETIME = timedelta(days=30)
TEN_SECONDS = timedelta(seconds=10)  # grace of the contract
LATER, LONG_AGO = NOW + LIFETIME, NOW - LIFETIME


@pytest.mark.parametrize(
    ("token", "verdict"),
    [
        (Presented(LATER, None, successor_unused=False), Verdict.ROTATE),
        (Presented(NOW, None, successor_unused=False), Verdict.EXPIRED),
        (Presented(LATER, NOW, successor_unused=True), Verdict.REPEAT),
        (Presented(LATER, NOW - TEN_SECONDS, successor_unused=True), Verdict.REPEAT),
        (Presented(LATER, NOW + timedelta(seconds=2), successor_unused=True), Verdict.REPEAT),
        (Presented(LATER, NOW - TEN_SECONDS - timedelta(milliseconds=1), successor_unused=True), Verdict.REUSED),
        (Presented(LATER, NOW, successor_unused=False), Verdict.REUSED),
        (Presented(LONG_AGO, LONG_AGO, successor_unused=True), Verdict.REUSED),
    ],
)
def test_verdict_follows_expiry_rotation_and_grace(token: Presented, verdict: Verdict) -> None:
    assert judge(token, NOW) is verdict


def test_refresh_tokens_are_long_and_only_the_key_derives_a_successor() -> None:
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
    """Create a database with its tables and the user Alice, once."""
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        file = Path(home) / "auth.db"
        engine = open_engine(sqlite_url(file), schema=SCHEMA)
        runner.run(app.migrate(engine))
        runner.run(AccountStore(Transactions(engine)).add_user(User("alice", NOW, ("user",)), "a hash"))
        runner.run(engine.dispose())
        return file.read_bytes()


@dataclass
class Family:
    """The tokens of one login in order, as in the contract; `rotated` has a time for each one except the newest."""

    sid: str
    tokens: list[str]
    expires_at: datetime
    rotated: list[datetime] = field(default_factory=list)
    stands: bool = True


class Refreshing(RuleBasedStateMachine):
    """Clients refresh, repeat, are late, and lose tokens to thieves; a model computes the answer that each must get."""

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
        self.family = self.log_in()

    def teardown(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()
        self.home.cleanup()

    def log_in(self) -> Family:
        token, sid = self.refresh_tokens.new(), secrets.token_hex(8)
        login = Login(sid, "alice", None, self.now, self.now, self.now + LIFETIME)
        assert self.runner.run(self.store.begin(login, 0, self.issue(token)))
        return Family(sid, [token], self.now + LIFETIME)

    def issue(self, token: str) -> TokenIssue:
        digest = self.refresh_tokens.digest(token)
        return TokenIssue(digest, self.now, self.now + timedelta(minutes=15), self.now + LIFETIME)

    def present(self, token: str) -> Rotation | None:
        successor = self.issue(self.refresh_tokens.successor(token))
        return self.runner.run(self.store.rotate(self.refresh_tokens.digest(token), successor))

    @rule(back=st.integers(0, 3), seconds=st.sampled_from([0, 1, 10, 11, 16 * 86_400]))
    def present_one(self, back: int, seconds: int) -> None:
        """Use the newest token or an older one after some time."""
        self.now += timedelta(seconds=seconds)
        family = self.family
        back = min(back, len(family.tokens) - 1)
        expected = self.expected(back)
        rotation = self.present(family.tokens[-1 - back])
        if rotation is None:
            assert not family.stands
            return
        assert (rotation.verdict, rotation.sid, rotation.user_id) == (expected, family.sid, "alice")
        if expected is Verdict.ROTATE:
            family.tokens.append(self.refresh_tokens.successor(family.tokens[-1]))
            family.rotated.append(self.now)
            family.expires_at = self.now + LIFETIME
        family.stands = expected is not Verdict.REUSED
        if expected in (Verdict.ROTATE, Verdict.REPEAT):
            assert rotation.refresh_expires_at == family.expires_at

    def expected(self, back: int) -> Verdict | None:
        """Return the answer of contract.md §1.3 for the token that is `back` rotations old."""
        family = self.family
        if not family.stands:
            return None
        if back == 0:
            return Verdict.ROTATE if self.now < family.expires_at else Verdict.EXPIRED
        lost = back == 1 and self.now - family.rotated[-1] <= TEN_SECONDS
        return Verdict.REPEAT if lost else Verdict.REUSED

    @rule(guess=st.sampled_from(["", "x" * 43]))
    def guess(self, guess: str) -> None:
        assert self.present(guess or self.refresh_tokens.new()) is None

    @rule()
    def log_out(self) -> None:
        stood = self.family.stands and self.now < self.family.expires_at
        assert self.runner.run(self.store.revoke("alice", self.family.sid, self.now)) is stood
        self.family.stands = self.family.stands and not stood

    @precondition(lambda self: not self.family.stands)
    @rule()
    def log_in_again(self) -> None:
        self.family = self.log_in()

    @invariant()
    def the_bearer_is_let_in_while_the_family_stands(self) -> None:
        user = self.runner.run(self.store.active_user("alice", self.family.sid))
        assert (user is not None) is self.family.stands


TestRefreshing = Refreshing.TestCase
TestRefreshing.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
