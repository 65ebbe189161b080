"""Five thousand forged tokens, none accepted (ASVS 9.1.1 to 9.1.3 and 9.2.1 to 9.2.4)."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chat_gateway.identity.authentication import Authenticator, Identity, KeyTable
from shared.errors import TokenExpired, Unauthenticated
from tests.support.forged_tokens import forged_tokens

KID = "first"


def good_claims() -> dict[str, Any]:
    now = int(time.time())
    who = {"iss": "backchat", "aud": "backchat", "sub": "ada", "sid": uuid4().hex, "jti": uuid4().hex, "roles": []}
    return {**who, "iat": now, "nbf": now, "exp": now + 900}


async def authenticator(key: Ed25519PrivateKey) -> Authenticator:
    public = jwt.get_algorithm_by_name("EdDSA").to_jwk(key.public_key(), as_dict=True)

    async def jwks() -> dict[str, Any]:
        return {"keys": [{**public, "kid": KID, "use": "sig"}]}

    keys = KeyTable(jwks)
    assert await keys._refresh()
    return Authenticator(keys, issuer="backchat")


async def test_no_forged_token_is_accepted() -> None:
    """Each is refused with the expected exception, never with another one."""
    key, claims = Ed25519PrivateKey.generate(), good_claims()
    checked = await authenticator(key)
    tried, expired, accepted = 0, 0, []
    for what, token in forged_tokens(key, KID, claims):
        tried += 1
        try:
            accepted.append((what, await checked.identify(token)))
        except Unauthenticated:
            pass
        except TokenExpired:
            expired += 1
            assert what.startswith(("over for", "exp = "))
    print(f"forged tokens: {tried} tried, {len(accepted)} accepted")  # noqa: T201
    assert accepted == []
    assert tried >= 5_000
    assert expired >= 399


async def test_tokens_before_forging_are_accepted() -> None:
    """Else their refusals would prove nothing."""
    key, claims = Ed25519PrivateKey.generate(), good_claims()
    checked = await authenticator(key)
    for headers in ({"kid": KID}, {"kid": KID, "typ": "at+jwt"}, {"kid": KID, "jku": "https://evil.example"}):
        token = jwt.encode(claims, key, algorithm="EdDSA", headers=headers)
        assert await checked.identify(token) == Identity("ada", claims["sid"], claims["jti"], claims["exp"], 900.0)
