"""Access tokens: the signed claims, and the refusal of every other token."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from auth_service.crypto.access_tokens import CLAIMS, SERVICE_CLAIMS, TOKEN_MAX, AccessTokens
from auth_service.crypto.key_ring import KeyRing, SigningKey
from shared.errors import TokenExpired, TokenInvalid

OLD, NEW = SigningKey.of(Ed25519PrivateKey.generate()), SigningKey.of(Ed25519PrivateKey.generate())
STRANGER = Ed25519PrivateKey.generate()
RING = KeyRing([OLD, NEW])
TOKENS = AccessTokens(RING, issuer="backchat", ttl=900)
Forger = Callable[[dict[str, Any], dict[str, Any]], str]
LIFETIME = 43_200  # seconds; forgeries are made at import, and a long run uses them much later


def claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "backchat",
        "aud": "backchat",
        "sub": "alice",
        "sid": "a-login",
        "jti": "a-token",
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
        "roles": ["user"],
    }


def service_claims() -> dict[str, Any]:
    """The claims of a service's token."""
    common = {name: value for name, value in claims().items() if name != "roles"}
    return {**common, "aud": "backchat-service", "sub": "service:reports", "sid": "a-key", "scope": "chat"}


def header() -> dict[str, Any]:
    return {"alg": "EdDSA", "typ": "at+jwt", "kid": NEW.kid}


def part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def signed(head: dict[str, Any], body: object, key: Ed25519PrivateKey = NEW.private) -> str:
    """Sign any header and body with the real key, without the checks of a library."""
    message = part(head) + b"." + part(body)
    return (message + b"." + base64.urlsafe_b64encode(key.sign(message)).rstrip(b"=")).decode()


def hmac_with(key: bytes, algorithm: str) -> str:
    head = {**header(), "alg": algorithm}
    message = part(head) + b"." + part(claims())
    digest = jwt.get_algorithm_by_name(algorithm).sign(message, key)
    return (message + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


PEM = NEW.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RAW = NEW.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
STRANGER_JWK = SigningKey.of(STRANGER).jwk()
NOW = int(time.time())
AHEAD = 86_400  # seconds: in a long run this test runs much later than the import

FORGERIES: dict[str, str] = {
    "alg none, no signature": (part({**header(), "alg": "none"}) + b"." + part(claims()) + b".").decode(),
    "alg None": (part({**header(), "alg": "None"}) + b"." + part(claims()) + b".").decode(),
    "alg none, good signature": signed({**header(), "alg": "none"}, claims()),
    "alg missing": signed({"typ": "at+jwt", "kid": NEW.kid}, claims()),
    "alg null": signed({**header(), "alg": None}, claims()),
    "alg a list": signed({**header(), "alg": ["EdDSA"]}, claims()),
    "HS256 with the PEM of the public key": hmac_with(PEM, "HS256"),
    "HS256 with the raw public key": hmac_with(RAW, "HS256"),
    "HS512 with the JWK": hmac_with(json.dumps(NEW.jwk()).encode(), "HS512"),
    "HS256 with an empty key": hmac_with(b"", "HS256"),
    "ES256": jwt.encode(
        claims(), generate_private_key(SECP256R1()), algorithm="ES256", headers={**header(), "alg": "ES256"}
    ),
    "a stranger's key": signed(header(), claims(), STRANGER),
    "a stranger's key under its own kid": signed({**header(), "kid": STRANGER_JWK["kid"]}, claims(), STRANGER),
    "the other key of ours": signed(header(), claims(), OLD.private),
    "a key in the header": signed({**header(), "jwk": STRANGER_JWK}, claims(), STRANGER),
    "a key set's address": signed({**header(), "jku": "https://evil.example/jwks.json"}, claims(), STRANGER),
    "a certificate's address": signed({**header(), "x5u": "https://evil.example/x"}, claims(), STRANGER),
    "kid missing": signed({"alg": "EdDSA", "typ": "at+jwt"}, claims()),
    "kid null": signed({**header(), "kid": None}, claims()),
    "kid a number": signed({**header(), "kid": 0}, claims()),
    "kid a list": signed({**header(), "kid": [NEW.kid]}, claims()),
    "kid a path": signed({**header(), "kid": "../../../../etc/passwd"}, claims(), STRANGER),
    "kid a statement": signed({**header(), "kid": "' OR 1=1 --"}, claims(), STRANGER),
    "typ missing": signed({"alg": "EdDSA", "kid": NEW.kid}, claims()),
    "typ of another kind": signed({**header(), "typ": "JWT"}, claims()),
    "crit unknown": signed({**header(), "crit": ["http://evil.example/x"], "http://evil.example/x": 1}, claims()),
    "crit b64": signed({**header(), "crit": ["b64"], "b64": False}, claims()),
    "crit empty": signed({**header(), "crit": []}, claims()),
    "b64 without crit": signed({**header(), "b64": False}, claims()),
    "claims a list": signed(header(), [claims()]),
    "claims a string": signed(header(), "alice"),
    "header a list": signed([header()], claims()),  # type: ignore[arg-type]
    "no signature": signed(header(), claims()).rpartition(".")[0] + ".",
    "two parts": signed(header(), claims()).rpartition(".")[0],
    "four parts": signed(header(), claims()) + ".e30",
    "signature cut": signed(header(), claims())[:-4],
    "claims swapped": ".".join(
        part({**claims(), "sub": "bob"}).decode() if n == 1 else whole
        for n, whole in enumerate(signed(header(), claims()).split("."))
    ),
    "another issuer": signed(header(), {**claims(), "iss": "evil"}),
    "issuer a prefix": signed(header(), {**claims(), "iss": "back"}),
    "issuer a list": signed(header(), {**claims(), "iss": ["backchat"]}),
    "another audience": signed(header(), {**claims(), "aud": "evil"}),
    "audience a list": signed(header(), {**claims(), "aud": ["evil", "backchat"]}),
    "a user for services": signed(header(), {**claims(), "aud": "backchat-service"}),
    "a user for services, with a scope": signed(header(), {**claims(), "aud": "backchat-service", "scope": "chat"}),
    "a user for both": signed(header(), {**claims(), "aud": ["backchat", "backchat-service"]}),
    "a user of a service's name": signed(header(), {**claims(), "sub": "service:alice"}),
    "a service for users": signed(header(), {**service_claims(), "aud": "backchat"}),
    "a service for users, with roles": signed(header(), {**service_claims(), "aud": "backchat", "roles": ["user"]}),
    "a service for both": signed(header(), {**service_claims(), "aud": ["backchat-service", "backchat"]}),
    "a service of a user's name": signed(header(), {**service_claims(), "sub": "reports"}),
    "a service without a scope": signed(header(), {k: v for k, v in service_claims().items() if k != "scope"}),
    "a service with a list of scopes": signed(header(), {**service_claims(), "scope": ["chat"]}),
    "not yet": signed(header(), {**claims(), "nbf": NOW + AHEAD}),
    "issued in the future": signed(header(), {**claims(), "iat": NOW + AHEAD, "exp": NOW + AHEAD + 300}),
    "for ever": signed(header(), {**claims(), "exp": 10**30}),
    "for ten years": signed(header(), {**claims(), "exp": NOW + 10 * 365 * 86_400}),
    "exp infinite": signed(header(), {**claims(), "exp": float("inf")}),
    "exp a string": signed(header(), {**claims(), "exp": str(NOW + LIFETIME)}),
    "exp a fraction": signed(header(), {**claims(), "exp": NOW + LIFETIME + 0.5}),
    "iat true": signed(header(), {**claims(), "iat": True}),
    "sub a number": signed(header(), {**claims(), "sub": 1}),
    "sub empty": signed(header(), {**claims(), "sub": ""}),
    "sid a number": signed(header(), {**claims(), "sid": 1}),
    "roles a string": signed(header(), {**claims(), "roles": "admin"}),
    "roles of numbers": signed(header(), {**claims(), "roles": [1]}),
    "too long": signed(header(), {**claims(), "pad": "x" * TOKEN_MAX}),
    "empty": "",
    "a lone surrogate": "\ud800.a.b",
    "not ASCII": "ü.ü.ü",
    "NUL": "\0.\0.\0",
    "deep": base64.urlsafe_b64encode(b"[" * 3000).decode()[:3900] + ".a.b",
    **{f"without {name}": signed(header(), {k: v for k, v in claims().items() if k != name}) for name in CLAIMS},
    **{f"{name} null": signed(header(), {**claims(), name: None}) for name in CLAIMS},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_token_is_refused(forgery: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(forgery)


def test_forgeries_cover_every_part_of_a_token() -> None:
    assert len(FORGERIES) >= 75


@pytest.mark.parametrize("thing", [None, 1, b"bytes", [], {}])
def test_token_that_is_no_string_is_refused(thing: object) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(thing)


@given(st.text(max_size=300) | st.from_regex(r"[\w-]{0,80}\.[\w-]{0,80}\.[\w-]{0,80}", fullmatch=True))
def test_arbitrary_string_is_refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(token)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_token_with_one_changed_character_is_refused(place: int, shift: int) -> None:
    """The lowest bits of the last character of a part are unused, so another character may decode to the same bytes."""
    token = TOKENS.sign("alice", "a-login", ["user"], time.time())
    place %= len(token)
    changed = token[:place] + chr((ord(token[place]) + shift) % 128) + token[place + 1 :]
    same_bytes = place == len(token) - 1
    if changed != token and not same_bytes:
        with pytest.raises(TokenInvalid):
            TOKENS.verify(changed)


def test_signed_token_has_the_documented_claims() -> None:
    token = TOKENS.sign("alice", "a-login", ["user"], time.time())
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "at+jwt", "kid": NEW.kid}
    body = jwt.decode(token, options={"verify_signature": False})
    assert set(body) == set(CLAIMS)
    assert body["iss"] == body["aud"] == "backchat"
    assert body["exp"] - body["iat"] == 900
    assert body["nbf"] == body["iat"]


def test_token_of_a_service_has_its_own_audience() -> None:
    now = int(time.time())
    token = TOKENS.sign_service("service:reports", "a-key", ("chat",), now, now + 60)
    body = jwt.decode(token, options={"verify_signature": False})
    assert set(body) == set(SERVICE_CLAIMS)
    assert (body["aud"], body["sub"], body["scope"]) == ("backchat-service", "service:reports", "chat")
    assert body["exp"] - body["iat"] == 60
    verified = TOKENS.verify(token)
    assert (verified.user_id, verified.sid, verified.scopes) == ("service:reports", "a-key", ("chat",))
    assert TOKENS.verify(signed(header(), claims())).scopes is None


def test_token_is_verified_with_the_published_keys_only() -> None:
    keys = jwt.PyJWKSet.from_dict(RING.jwks())
    token = TOKENS.sign("alice", "a-login", ["user"], time.time())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="backchat", issuer="backchat")["sub"] == "alice"


def test_token_of_the_previous_key_is_accepted() -> None:
    assert TOKENS.verify(signed({**header(), "kid": OLD.kid}, claims(), OLD.private)).user_id == "alice"


def test_expired_token_has_no_leeway() -> None:
    """The leeway applies to the start of validity only."""
    for age in (0, 1, 4, 3600):
        old = {**claims(), "iat": NOW - 4000, "nbf": NOW - 4000, "exp": int(time.time()) - age}
        with pytest.raises(TokenExpired):
            TOKENS.verify(signed(header(), old))


def test_forged_expired_token_is_reported_as_invalid() -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(signed(header(), {**claims(), "exp": NOW - 10}, STRANGER))


def test_token_of_a_clock_slightly_ahead_is_accepted() -> None:
    ahead = int(time.time()) + 3
    assert TOKENS.verify(signed(header(), {**claims(), "iat": ahead, "nbf": ahead, "exp": ahead + 900}))
