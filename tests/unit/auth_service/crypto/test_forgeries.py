"""More than 5,000 forged tokens, all refused (`test_access_tokens` has the named ones)."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt

from auth_service.crypto.access_tokens import CLAIMS
from shared.errors import TokenExpired, TokenInvalid
from tests.support.figures import Figure
from tests.unit.auth_service.crypto.test_access_tokens import (
    NEW,
    NOW,
    PEM,
    RAW,
    STRANGER,
    TOKENS,
    claims,
    header,
    part,
    signed,
)

ENOUGH = 5_000
ALGORITHMS = [
    "none",
    "None",
    "NONE",
    "",
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "PS256",
    "ES256",
    "ES512",
    "Ed448",
    "eddsa",
]
ALGORITHMS += ["EdDSA ", "EDDSA", "A128KW", "dir", "null"]
KIDS: list[Any] = [
    NEW.kid,
    NEW.kid + "=",
    NEW.kid[:-1],
    NEW.kid.lower(),
    "",
    "0",
    "../0001.pem",
    "/dev/null",
    "0001.pem",
]
KIDS += ["' OR '1'='1", "http://evil.example/k", "\0", "x" * 2_000, None, 0, True, [], [NEW.kid], {}, {"kid": NEW.kid}]
NOT_TEXT: list[Any] = [None, "", 0, -1, True, [], {}, [None], ["x"], {"$gt": ""}, 1e308, 0.5]
NOT_A_TIME: list[Any] = [
    None,
    "",
    str(NOW),
    True,
    [],
    {},
    [NOW],
    {"$gt": 0},
    1e308,
    -1e308,
    0.5,
    NOW + 0.5,
    10**30,
    "\0",
]
NOT_US: list[Any] = [*NOT_TEXT, "\0", "\ud800", "🦄", "x" * 500, "Backchat", "backchat ", "back", NOW, [["backchat"]]]
NOT_ROLES: list[Any] = [None, "", "admin", 0, True, {}, [None], [1], [["user"]], {"user": True}, 1e308]
ODD = {
    **dict.fromkeys(("sub", "sid", "jti"), NOT_TEXT),
    **dict.fromkeys(("iat", "nbf", "exp"), NOT_A_TIME),
    **dict.fromkeys(("iss", "aud"), NOT_US),
    "roles": NOT_ROLES,
}
FOREIGN_HEADERS: list[dict[str, Any]] = [
    {"jku": "https://evil.example"},
    {"jwk": {"kty": "OKP"}},
    {"x5u": "https://evil.example"},
    {"x5c": ["MIIB"]},
    {"crit": ["exp"]},
    {"b64": False},
    {"zip": "DEF"},
    {"typ": "JWT"},
    {"cty": "JWT", "typ": "jwt"},
    {"enc": "A256GCM"},
]
SECRETS = [
    b"",
    b"secret",
    PEM,
    RAW,
    PEM.strip(),
    base64.b64encode(RAW),
    json.dumps(NEW.jwk()).encode(),
    NEW.kid.encode(),
]


def by_header() -> Iterator[str]:
    """Yield every algorithm with every key id and every foreign field: signed by the real key, by another one, and unsigned."""
    for algorithm, kid, more in itertools.product(ALGORITHMS, KIDS, [{}, *FOREIGN_HEADERS]):
        head = {**header(), "alg": algorithm, "kid": kid, **more}
        yield signed(head, claims(), STRANGER)
    for algorithm, kid in itertools.product(ALGORITHMS, KIDS):
        head = {**header(), "alg": algorithm, "kid": kid}
        yield signed(head, claims())
        yield (part(head) + b"." + part(claims()) + b".").decode()


def by_secret() -> Iterator[str]:
    """Yield tokens whose MAC uses a public value of the service as its secret."""
    for secret, algorithm, kid in itertools.product(SECRETS, ("HS256", "HS384", "HS512"), (NEW.kid, None, "")):
        message = part({**header(), "alg": algorithm, "kid": kid}) + b"." + part(claims())
        mac = jwt.get_algorithm_by_name(algorithm).sign(message, secret)
        yield (message + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def by_claim() -> Iterator[str]:
    """Yield signed tokens with invalid claims: each claim with each odd value, with and without a second claim removed."""
    for name, values in ODD.items():
        for value in values:
            yield signed(header(), {**claims(), name: value})
    for gone, strange in itertools.permutations(CLAIMS, 2):
        yield signed(
            header(), {key: value for key, value in claims().items() if key != gone} | {strange: claims()[strange]}
        )


def by_bytes() -> Iterator[str]:
    """Yield variants of one valid token: cut, changed and mixed at every position."""
    token = signed(header(), claims())
    for place in range(len(token)):
        yield token[:place]
        yield token[:place] + token[place + 1 :]
        yield token[:place] + "." + token[place:]
        yield token[:place] + "\n" + token[place:]
    head, body, signature = token.split(".")
    for order in itertools.permutations([head, body, signature]):
        if list(order) != [head, body, signature]:
            yield ".".join(order)


FORGERIES = {"header": by_header, "secret": by_secret, "claim": by_claim, "bytes": by_bytes}


def test_no_generated_forgery_is_accepted(record_property: Callable[[str, object], None]) -> None:
    """Each forgery raises the refusal, and no other exception."""
    tried: set[str] = set()
    accepted = []
    for kind, forge in FORGERIES.items():
        for token in forge():
            tried.add(token)
            try:
                accepted.append((kind, TOKENS.verify(token), token))
            except (TokenInvalid, TokenExpired):  # `"exp": true` is the first second after the epoch
                continue
    measured = f"{len(tried):,} tried, {len(accepted)} accepted"
    reached = not accepted and len(tried) >= ENOUGH
    record_property("figure", str(Figure("forged access tokens, at auth", measured, "5,000, 0", reached=reached)))
    assert not accepted
    assert len(tried) >= ENOUGH
