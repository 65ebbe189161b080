"""Authentication: checks access tokens against the public keys of auth (contract.md §2).

The algorithm is fixed here and never read from a token's header. If the keys cannot be refreshed, the loaded ones stay
in use; until keys are loaded for the first time, no token can be accepted.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.backoff import Backoff
from shared.contracts import ids
from shared.contracts.scopes import may_act_in_all, may_read_all
from shared.errors import BackchatError, TokenExpired, Unauthenticated, Unavailable

logger = structlog.get_logger(__name__)

ALGORITHM = "EdDSA"
AUDIENCE = "backchat"
SERVICE_AUDIENCE = "backchat-service"
REQUIRED = ("iss", "aud", "exp", "iat", "nbf", "sub", "sid", "jti")
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})  # of headers, in lower case; the first is auth's (RFC 9068)
# A JWS in compact form (RFC 7515) with an Ed25519 signature in its canonical spelling: four of its bits are unused.
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
TOKEN_BYTES_MAX = 4096
LIFETIME_MAX = 86_400.0  # seconds; auth issues no token with a longer lifetime
CLOCK_SKEW = 5.0  # seconds that the clock of auth may be ahead of ours
REFRESH_EVERY = 300.0  # seconds
UNKNOWN_KEY_COOLDOWN = 2.0  # seconds between two refreshes that are caused by unknown keys
FIRST_RETRY, LAST_RETRY = 0.2, 5.0  # seconds

FetchKeys = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Identity:
    """The user and login of a token, or the service and its key.

    `expires_at`: seconds since 1970; `lifetime`: seconds from issue to expiry. `scopes` limit a service; a user has
    `None`.
    """

    user_id: str
    login_id: str
    token_id: str
    expires_at: float
    lifetime: float
    scopes: frozenset[str] | None = None

    @property
    def revocable_ids(self) -> tuple[str, ...]:
        """The ids under which auth may revoke the token: its login; for a service its key, and the token itself."""
        return (self.login_id,) if self.scopes is None else (self.login_id, self.token_id)

    @property
    def scope_names(self) -> list[str] | None:
        """The scopes as queries carry them."""
        return None if self.scopes is None else sorted(self.scopes)

    @property
    def observes(self) -> bool:
        """Whether it may follow every session, without being a member."""
        return may_read_all(self.scopes)

    @property
    def writes_all(self) -> bool:
        """Whether it may write in every session, without being a member."""
        return may_act_in_all(self.scopes)


class KeyTable:
    """The public keys of auth by their `kid`. After a failed refresh the loaded keys stay in use."""

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._keys: dict[str, Ed25519PublicKey] = {}
        self.generation = 0  # of the set of keys
        self._loaded = False
        self._failed = False
        self._asked_at = float("-inf")
        self._refreshing = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether keys were loaded at least once."""
        return self._loaded

    async def run(self) -> None:
        """Fetch the keys until it succeeds, then every `REFRESH_EVERY` seconds; until cancelled."""
        backoff = Backoff(FIRST_RETRY, LAST_RETRY)
        while True:
            if await self._refresh():
                backoff.reset()
                await asyncio.sleep(REFRESH_EVERY)
            else:
                await asyncio.sleep(backoff.next())

    async def find(self, kid: str) -> Ed25519PublicKey:
        """Return the key with this id, after a refresh if it is unknown.

        Raises:
            Unavailable: the key may exist, but auth does not answer.
            Unauthenticated: there is no such key.
        """
        if kid not in self._keys and self._loaded:
            async with self._refreshing:
                if kid not in self._keys and time.monotonic() - self._asked_at > UNKNOWN_KEY_COOLDOWN:
                    await self._refresh()
        if kid in self._keys:
            return self._keys[kid]
        if not self._loaded or self._failed:
            raise Unavailable("Tokens cannot be checked at the moment.", retry_after=1.0)
        raise Unauthenticated

    async def _refresh(self) -> bool:
        self._asked_at = time.monotonic()
        try:
            keys = _public_keys(await self._fetch())
        except Exception as error:  # noqa: BLE001 - the transport may raise anything; the old keys stay
            if not self._failed:
                logger.warning("keys.refresh_failed", reason=type(error).__name__, loaded=self._loaded)
            self._failed = True
            return False
        self.generation += keys != self._keys
        self._keys = keys
        self._loaded, self._failed = True, False
        return True


class Authenticator:
    """Checks tokens and returns the `Identity` in them."""

    def __init__(self, keys: KeyTable, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer

    @property
    def generation(self) -> int:
        """A number that changes with the set of public keys."""
        return self._keys.generation

    async def identify(self, token: Any) -> Identity:
        """Check a token.

        Raises:
            TokenExpired: the token was valid and has expired.
            Unauthenticated: the token is not valid.
            Unavailable: the keys are not loaded, so the token cannot be checked.
        """
        try:
            kid = _key_id(token)
            key = await self._keys.find(kid)
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                # `_scopes` compares the audience.
                options={"require": list(REQUIRED), "verify_aud": False, "verify_iat": False, "verify_nbf": False},
            )
            return _identity(claims)
        except BackchatError:
            raise
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except Exception:  # noqa: BLE001 - a forged token may raise any exception; all of them mean refusal
            raise Unauthenticated from None


def token_of(auth: Any, environ: Mapping[str, Any]) -> Any:
    """Return the token of a connect: `auth.token`, else that of the Authorization header, else `None`."""
    if isinstance(auth, dict) and auth.get("token") is not None:
        return auth["token"]
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def _key_id(token: Any) -> str:
    if not isinstance(token, str) or len(token) > TOKEN_BYTES_MAX or COMPACT.fullmatch(token) is None:
        raise Unauthenticated
    header = jwt.get_unverified_header(token)
    kid, kind = header.get("kid"), header.get("typ", "JWT")
    if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Unauthenticated
    if "crit" in header or "b64" in header:  # no extension is supported
        raise Unauthenticated
    return kid


def _identity(claims: dict[str, Any]) -> Identity:
    latest = time.time() + CLOCK_SKEW
    user, login, token_id = claims["sub"], claims["sid"], claims["jti"]
    numbers = [claims["exp"], claims["iat"], claims["nbf"]]
    if not all(isinstance(text, str) and text for text in (user, login, token_id)):
        raise Unauthenticated
    if not all(type(number) in (int, float) and abs(number) < 2**40 for number in numbers):
        raise Unauthenticated
    lifetime = claims["exp"] - claims["iat"]
    if claims["iat"] > latest or claims["nbf"] > latest or not 0 < lifetime <= LIFETIME_MAX:
        raise Unauthenticated
    return Identity(user, login, token_id, float(claims["exp"]), float(lifetime), _scopes(claims))


def _scopes(claims: dict[str, Any]) -> frozenset[str] | None:
    """Return the scopes of a service, `None` for a user; audience and subject must name the same kind."""
    of_service = ids.is_service(claims["sub"])
    if claims["aud"] != (SERVICE_AUDIENCE if of_service else AUDIENCE):
        raise Unauthenticated
    if not of_service:
        return None
    if not isinstance(claims["scope"], str):
        raise Unauthenticated
    return frozenset(claims["scope"].split())


def _public_keys(jwks: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 signing keys of a JWK set; other keys are skipped."""
    keys: dict[str, Ed25519PublicKey] = {}
    for entry in jwks["keys"]:
        if entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519" or entry.get("use", "sig") != "sig":
            continue
        key = jwt.PyJWK.from_dict(entry, algorithm=ALGORITHM).key
        if isinstance(key, Ed25519PublicKey):
            keys[str(entry["kid"])] = key
    return keys
