"""Recently checked tokens: verified once, until they expire or the public keys change."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chat_gateway.identity import recent_tokens
from chat_gateway.identity.authentication import Authenticator, KeyTable
from chat_gateway.identity.recent_tokens import RecentTokens
from shared.errors import TokenExpired, Unauthenticated
from tests.unit.chat_gateway.identity.test_forged_tokens import KID, good_claims


class Issuer:
    """Auth with one key, and a count of the verifications."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.kid = KID
        self.verified = 0
        self.keys = KeyTable(self._jwks)
        decode = jwt.decode

        def counted(*arguments: Any, **options: Any) -> Any:
            self.verified += 1
            return decode(*arguments, **options)

        monkeypatch.setattr(jwt, "decode", counted)

    async def _jwks(self) -> dict[str, Any]:
        public = jwt.get_algorithm_by_name("EdDSA").to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.kid, "use": "sig"}]}

    async def recent(self) -> RecentTokens:
        assert await self.keys._refresh()
        return RecentTokens(Authenticator(self.keys, issuer="backchat"))

    def token(self, **claims: Any) -> str:
        return jwt.encode({**good_claims(), **claims}, self.key, algorithm="EdDSA", headers={"kid": KID})


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    return Issuer(monkeypatch)


async def test_token_is_verified_once_while_the_keys_stay_the_same(issuer: Issuer) -> None:
    recent, token = await issuer.recent(), issuer.token()
    found = [await recent.identify(token) for _ in range(3)]
    assert await issuer.keys._refresh()
    assert await recent.identify(token) == found[0]
    assert issuer.verified == 1
    for forged in (token[:-4] + "AAAA", token[1:], f"{token} "):
        with pytest.raises(Unauthenticated):
            await recent.identify(forged)


async def test_token_of_a_withdrawn_key_is_refused(issuer: Issuer) -> None:
    recent, token = await issuer.recent(), issuer.token()
    await recent.identify(token)
    issuer.kid = "next"
    assert await issuer.keys._refresh()
    with pytest.raises(Unauthenticated):
        await recent.identify(token)


async def test_kept_token_expires(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    recent, token = await issuer.recent(), issuer.token()
    await recent.identify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 901)
    with pytest.raises(TokenExpired):
        await recent.identify(token)


async def test_kept_tokens_are_bounded(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_tokens, "TOKENS_MAX", 2)
    recent = await issuer.recent()
    tokens = [issuer.token() for _ in range(3)]
    for token in tokens:
        await recent.identify(token)
    await recent.identify(tokens[2])
    assert issuer.verified == 3
    await recent.identify(tokens[0])
    assert issuer.verified == 4
