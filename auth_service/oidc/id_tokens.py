"""Verification of ID tokens (OpenID Connect Core, section 3.1.3.7) with the keys that the provider publishes.

The `alg` of a token is accepted if the provider lists it, the library verifies it, it is asymmetric, and it fits the
type, the curve and the `alg` of the key. A token without `kid`, or a key without one, is accepted if a published key
verifies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidClaimError, InvalidKeyIdError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

CLOCK_SKEW = 60  # seconds
SUBJECT_MAX = 255  # characters (OpenID Connect Core §2)
KEYS_MAX = 64  # of the published set; further keys are ignored
EDWARDS = frozenset({"EdDSA", "Ed25519", "Ed448"})  # RFC 9864 names the curve, RFC 8037 did not
ASYMMETRIC = frozenset(
    name for name, algorithm in JWSRegistry.algorithms.items() if algorithm.key_type != "oct" and name != "none"
)
REQUIRED = ("iss", "sub", "aud", "exp", "iat", "nonce")


class Signatures(JWSRegistry):
    """The accepted algorithms. Headers may hold a certificate chain and parameters that are not registered."""

    max_header_length = 8 * 1024  # bytes

    def __init__(self, algorithms: Iterable[str]) -> None:
        super().__init__(algorithms=frozenset(algorithms), strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return an algorithm, without the library's warning that `EdDSA` has newer names."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


def accepted_algorithms(listed: Iterable[str] | None) -> frozenset[str]:
    """Return the algorithms that the provider lists and the library verifies; all of the latter without a list."""
    if listed is None:
        return ASYMMETRIC
    names = frozenset(listed)
    return ASYMMETRIC & (names | EDWARDS if names & EDWARDS else names)


def read_keys(published: Any) -> list[Key]:
    """Return the public keys of a JWK set that can verify signatures. Keys of unknown types are skipped."""
    found = published if isinstance(published, list) else []
    return [key for jwk in found[:KEYS_MAX] if (key := _read_key(jwk))]


def _read_key(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("kty") == "oct" or jwk.get("use", "sig") != "sig":
        return None
    # the curve says as much, and a token may use an older or a newer name
    data = {name: value for name, value in jwk.items() if name != "alg" or value not in EDWARDS}
    try:
        key = JWKRegistry.import_key(data)
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def verified_claims(
    token: str, keys: Sequence[Key], algorithms: frozenset[str], *, issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """Return the claims of a genuine ID token that was issued for this client and this login.

    Raises:
        InvalidKeyIdError: no key fits the token.
        BadSignatureError: keys fit, but none verifies the token.
        JoseError: the token is not valid.
    """
    registry = Signatures(algorithms)
    header = jws.extract_compact(token.encode(), registry=registry).headers()
    claims = _claims(token, _fitting(keys, header, registry), registry)
    options: dict[str, jwt.ClaimsOption] = {name: {"essential": True} for name in REQUIRED}
    for name, value in {"iss": issuer, "aud": client_id, "nonce": nonce}.items():
        options[name]["value"] = value
    jwt.JWTClaimsRegistry(None, CLOCK_SKEW, **options).validate(claims)
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise InvalidClaimError("azp")
    if len(claims["sub"]) > SUBJECT_MAX:
        raise InvalidClaimError("sub")
    return claims


def _fitting(keys: Sequence[Key], header: dict[str, Any], registry: Signatures) -> list[Key]:
    algorithm, kid = registry.get_alg(header.get("alg", "")), header.get("kid")
    named = [key for key in keys if kid is not None and key.get("kid") == kid]
    return [key for key in named or keys if _fits(key, algorithm, kid)]


def _fits(key: Key, algorithm: Any, kid: str | None) -> bool:
    if kid is not None and key.get("kid") not in (None, kid):
        return False
    try:
        algorithm.check_key(key)
    except JoseError:
        return False
    return True


def _claims(token: str, keys: Sequence[Key], registry: Signatures) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(token, key, registry=registry).claims
        except BadSignatureError:
            continue
    if not keys:
        raise InvalidKeyIdError
    raise BadSignatureError
