"""Five thousand forged tokens, none accepted (ASVS 9.1.1 to 9.1.3 and 9.2.1 to 9.2.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chat_gateway.identity.authentication import Authenticator, Identity, KeyTable
from shared.contracts.scopes import may_chat
from shared.errors import TokenExpired, Unauthenticated
from tests.support.forged_tokens import forged_tokens

KID = "first"


def good_claims() -> dict[str, Any]:
    now = int(time.time())
    who = {"iss": "backchat", "aud": "backchat", "sub": "ada", "sid": uuid4().hex, "jti": uuid4().hex, "roles": []}
    return {**who, "iat": now, "nbf": now, "exp": now + 900}


def service_claims() -> dict[str, Any]:
    common = {name: value for name, value in good_claims().items() if name != "roles"}
    return {**common, "aud": "backchat-service", "sub": "service:reports", "scope": "chat"}


async def authenticator(key: Ed25519PrivateKey) -> Authenticator:
    public = jwt.get_algorithm_by_name("EdDSA").to_jwk(key.public_key(), as_dict=True)

    async def jwks() -> dict[str, Any]:
        return {"keys": [{**public, "kid": KID, "use": "sig"}]}

    keys = KeyTable(jwks)
    assert await keys._refresh()
    return Authenticator(keys, issuer="backchat")


@pytest.mark.parametrize("claimed", [good_claims, service_claims])
async def test_no_forged_token_is_accepted(claimed: Callable[[], dict[str, Any]]) -> None:
    """Each is refused with the expected exception, never with another one."""
    key, claims = Ed25519PrivateKey.generate(), claimed()
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


@pytest.mark.parametrize(
    ("claims", "changed"),
    [
        (good_claims, {"aud": "backchat-service"}),
        (good_claims, {"aud": "backchat-service", "scope": "chat"}),
        (good_claims, {"aud": ["backchat", "backchat-service"], "scope": "chat"}),
        (good_claims, {"sub": "service:ada"}),
        (service_claims, {"aud": "backchat"}),
        (service_claims, {"aud": "backchat", "roles": ["user"]}),
        (service_claims, {"aud": ["backchat-service"]}),
        (service_claims, {"sub": "reports"}),
        (service_claims, {"scope": None}),
        (service_claims, {"scope": ["chat"]}),
    ],
)
async def test_audience_and_subject_must_name_the_same_kind(
    claims: Callable[[], dict[str, Any]], changed: dict[str, Any]
) -> None:
    """Neither the token of a user passes as one of a service, nor the other way."""
    key = Ed25519PrivateKey.generate()
    checked = await authenticator(key)
    token = jwt.encode({**claims(), **changed}, key, algorithm="EdDSA", headers={"kid": KID})
    with pytest.raises(Unauthenticated):
        await checked.identify(token)


async def test_identity_of_a_service_has_its_scopes_and_both_revocable_ids() -> None:
    key, claims = Ed25519PrivateKey.generate(), service_claims()
    checked = await authenticator(key)
    for scope, permitted in (("chat", True), ("chat users", True), ("chats", False), ("", False)):
        token = jwt.encode({**claims, "scope": scope}, key, algorithm="EdDSA", headers={"kid": KID})
        identity = await checked.identify(token)
        assert may_chat(identity.scopes) is permitted
        assert identity.revocable_ids == (claims["sid"], claims["jti"])
    user = await checked.identify(jwt.encode(good_claims(), key, algorithm="EdDSA", headers={"kid": KID}))
    assert may_chat(user.scopes)
    assert user.revocable_ids == (user.login_id,)
