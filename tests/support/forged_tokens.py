"""Thousands of forged access tokens, generated from a seed. No service may accept any of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Headers = dict[str, Any]
Claims = dict[str, Any]

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group (RFC 8032, section 5.1)
SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xff" * 32]  # points, encoded
STRANGE_KIDS: list[Any] = [
    *("../../../etc/passwd", "/dev/null", "' OR 1=1 --", "", " ", "\x00", "first\x00", "FIRST", "first ", "*", "null"),
    *("http://evil.example/jwks.json", "file:///etc/passwd", "$(id)", "`id`", "ä", "x" * 1_000, "__class__", "0"),
    *(None, 0, 1, True, [], ["first"], {}, {"first": 1}, 1.5),
]
WRONG: dict[str, list[Any]] = {
    "iss": ["", "backchat ", "Backchat", "back", "backchatt", ["backchat"], None, 0, True, {}],
    "aud": ["", "Backchat", "backchat2", ["backchat"], ["other", "backchat"], [], None, 0, {"aud": "backchat"}],
    "sub": ["", None, 0, True, ["ada"], {"id": "ada"}],
    "sid": ["", None, 0, [], {}],
    "jti": ["", None, 0, [], {}],
    "exp": [None, "", "soon", "9999999999", [], {}, True, 0, -1, 10**12, 10**30, -(10**30), 1e300],
    "iat": [None, "", "now", [], {}, True, 10**12, 10**30, 4_000_000_000, 0, -1],
    "nbf": [None, "", [], {}, True, 10**12, 10**30, 4_000_000_000],
}


def b64(data: bytes) -> str:
    """Encode as in a JWS: base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value: Any) -> str:
    """Encode a header or claims."""
    return b64(json.dumps(value).encode())


def forged_tokens(key: Ed25519PrivateKey, kid: str, claims: Claims, *, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Yield descriptions and tokens. `key`, `kid` and `claims` are valid, so that a token has only the described fault.

    Some tokens are signed with the valid key and have wrong claims, which no attacker could make.
    """
    chance = random.Random(seed)
    yield from _wrong_claims(key, kid, claims)
    yield from _wrong_headers(key, kid, claims)
    yield from _wrong_algorithms(key.public_key(), kid, claims)
    yield from _wrong_keys(kid, claims)
    yield from _wrong_signatures(key, kid, claims, chance)
    yield from _wrong_forms(key, kid, claims, chance)


def _signed(key: Ed25519PrivateKey, headers: Headers, claims: Any) -> str:
    text = f"{part(headers)}.{part(claims)}"
    return f"{text}.{b64(key.sign(text.encode()))}"


def _right(kid: str) -> Headers:
    return {"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}


def _wrong_claims(key: Ed25519PrivateKey, kid: str, claims: Claims) -> Iterator[tuple[str, str]]:
    headers = _right(kid)
    for name, values in WRONG.items():
        yield f"without {name}", _signed(key, headers, {n: v for n, v in claims.items() if n != name})
        for value in values:
            yield f"{name} = {value!r}", _signed(key, headers, {**claims, name: value})
    for whole in ([], [claims], "claims", 7, None, {}, {"claims": claims}):
        yield f"claims {whole!r:.20}", _signed(key, headers, whole)
    for seconds in range(1, 400):
        shifted = {"iat": claims["iat"] + 5 + seconds * 7, "nbf": claims["nbf"] + 5 + seconds * 7}
        yield f"from {seconds * 7} s on", _signed(key, headers, {**claims, **shifted, "exp": claims["exp"] + 9_999})
        yield f"lives {seconds} days", _signed(key, headers, {**claims, "exp": claims["iat"] + 86_400 * seconds + 1})
        past = {name: claims[name] - 86_400 - seconds for name in ("iat", "nbf", "exp")}
        yield f"over for {seconds} s and a day", _signed(key, headers, {**claims, **past})


def _wrong_headers(key: Ed25519PrivateKey, kid: str, claims: Claims) -> Iterator[tuple[str, str]]:
    right = _right(kid)
    for strange in STRANGE_KIDS:
        yield f"kid {strange!r:.20}", _signed(key, {**right, "kid": strange}, claims)
    yield "no kid", _signed(key, {"alg": "EdDSA"}, claims)
    for name in ("none", "None", "NONE", "", "EDDSA", "eddsa", "Ed25519ph", "Ed448", "HS256", "RS256", "ES256K", "dir"):
        yield f"alg {name}", _signed(key, {**right, "alg": name}, claims)
    for alg in (None, 0, True, [], ["EdDSA"], {"alg": "EdDSA"}):
        yield f"alg {alg!r}", _signed(key, {**right, "alg": alg}, claims)
    more: list[Headers] = [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}]
    more += [{"crit": []}, {"crit": "exp"}, {"crit": ["x"], "x": 1}, {"typ": "rt+jwt"}, {"typ": "JWE"}, {"typ": 7}]
    for headers in more:
        yield f"headers {headers}", _signed(key, {**right, **headers}, claims)
    for whole in ([], [right], "header", 7, None, {}):
        yield f"header {whole!r:.20}", _signed(key, whole, claims)  # type: ignore[arg-type]


def _wrong_algorithms(public: Ed25519PublicKey, kid: str, claims: Claims) -> Iterator[tuple[str, str]]:
    """Use the public key, in all its encodings, as an HMAC secret; and use no signature at all."""
    raw = public.public_bytes_raw()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk(public)
    secrets = [raw, pem, pem.strip(), ssh, str(jwk).encode(), b64(raw).encode(), raw.hex().encode(), b"", b"secret"]
    for secret in secrets:
        for alg, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):
            for claimed in (alg, "EdDSA"):
                text = f"{part({**_right(kid), 'alg': claimed})}.{part(claims)}"
                mac = hmac.new(secret, text.encode(), digest).digest()
                yield f"{alg} as {claimed}", f"{text}.{b64(mac)}"
    for claimed in ("none", "None", "nOnE", "NONE", "EdDSA"):
        text = f"{part({**_right(kid), 'alg': claimed})}.{part(claims)}"
        for signature in ("", "AA", b64(bytes(64)), b64(b"\xff" * 64)):
            yield f"unsigned as {claimed}", f"{text}.{signature}"


def _wrong_keys(kid: str, claims: Claims) -> Iterator[tuple[str, str]]:
    """Sign with an unknown key, and name that key by every header that can carry one."""
    strange = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk(strange.public_key(), as_dict=True)
    bring: list[Headers] = [{}, {"jwk": jwk}, {"jwk": {**jwk, "kid": kid}}, {"jku": "https://evil.example/jwks"}]
    bring += [{"x5u": "https://evil.example/x"}, {"x5c": [b64(b"certificate")]}, {"x5t": "AAAA"}, {"keys": [jwk]}]
    for headers in bring:
        for named in (kid, "strange", *[str(k) for k in STRANGE_KIDS if isinstance(k, str)]):
            yield f"strange key with {list(headers)}", _signed(strange, {**_right(named), **headers}, claims)
    text = f"{part(_right(kid))}.{part(claims)}"
    yield "RS256", jwt.encode(claims, rsa.generate_private_key(65_537, 2_048), "RS256", headers={"kid": kid})
    yield "ES256", jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid})
    yield "Ed448", f"{text}.{b64(ed448.Ed448PrivateKey.generate().sign(text.encode()))}"


def _wrong_signatures(
    key: Ed25519PrivateKey, kid: str, claims: Claims, chance: random.Random
) -> Iterator[tuple[str, str]]:
    token = _signed(key, _right(kid), claims)
    text, _, last = token.rpartition(".")
    good = unb64(last)
    for bit in range(512):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"signature bit {bit}", f"{text}.{b64(bytes(flipped))}"
    for length in range(64):
        yield f"signature of {length} bytes", f"{text}.{b64(good[:length])}"
    for extra in (b"\0", good, b"\xff" * 64):
        yield "longer signature", f"{text}.{b64(good + extra)}"
    scalar = int.from_bytes(good[32:], "little")
    for times in range(1, 15):
        if (raised := scalar + times * ORDER) < 2**256:
            yield f"malleated {times}", f"{text}.{b64(good[:32] + raised.to_bytes(32, 'little'))}"
    for point in SMALL_ORDER:
        for number in (0, 1, scalar):
            yield "small order", f"{text}.{b64(point + number.to_bytes(32, 'little'))}"
    yield "halves swapped", f"{text}.{b64(good[32:] + good[:32])}"
    other = _signed(key, _right(kid), {**claims, "sub": "somebody"}).rpartition(".")[2]
    yield "another token's", f"{text}.{other}"
    for _ in range(1_000):
        yield "random signature", f"{text}.{b64(chance.randbytes(64))}"


def _wrong_forms(key: Ed25519PrivateKey, kid: str, claims: Claims, chance: random.Random) -> Iterator[tuple[str, str]]:
    token = _signed(key, _right(kid), claims)
    header, body, signature = token.split(".")
    for raised in ({"sub": "root"}, {"roles": ["admin"]}, {"exp": claims["exp"] + 1}, {"sid": "other"}):
        yield f"claims with {list(raised)}", f"{header}.{part({**claims, **raised})}.{signature}"
    shapes = [f"{header}.{body}", f"{header}.{body}.", f".{body}.{signature}", f"{header}..{signature}", "..", "."]
    shapes += [f"{token}.", f"{token}.{signature}", f".{token}", f"{token} ", f" {token}", f"{token}\n", f"{token}="]
    shapes += [f"Bearer {token}", token.upper(), token[::-1], f"{token}\0", token.replace(".", "-"), f"{token}\r\nX: y"]
    shapes += [f"{header}=.{body}.{signature}", f"{header}.{body}==.{signature}", f"{header}.{body}.{signature}=="]
    shapes += [
        f"{header}.{body}.{signature[:40]}!{signature[40:]}",
        f"{header}.{body}.{signature[:40]}\n{signature[40:]}",
    ]
    shapes += [
        json.dumps({"payload": body, "protected": header, "signature": signature}),
        "ä" + token,
        "\ud800.a.b",
        "",
    ]
    shapes += [
        "x" * 5_000,
        "." * 4_000,
        token + "A" * 4_096,
        "eyJ" * 1_000,
        "null",
        "{}",
        "[]",
        "0",
        "a.b.c",
        "a.b.c.d.e",
    ]
    shapes += [f"{header}.{body}.{signature[:-1]}{last}" for last in "BCDEFGHIJKLMNOP" if last != signature[-1]]
    for shape in shapes:
        yield f"form {shape[:20]!r}", shape
    for _ in range(1_200):
        at = chance.randrange(len(token))
        other = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. \0é")
        changed = token[:at] + other + token[at + 1 :]
        if changed != token:
            yield f"character {at}", changed
    for _ in range(400):
        start, end = sorted(chance.sample(range(len(token)), 2))
        yield "piece missing", token[:start] + token[end:]
    for length in range(0, len(token) - 1, 2):
        yield f"first {length} characters", token[:length]
    for _ in range(300):
        yield "noise", ".".join(b64(chance.randbytes(chance.randrange(1, 80))) for _ in range(3))
