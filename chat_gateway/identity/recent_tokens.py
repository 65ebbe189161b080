"""Recently checked tokens, so that each request of a client does not cost a verification of its signature."""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import blake2b

from chat_gateway.identity.authentication import Authenticator, Identity
from shared.errors import TokenExpired

TOKENS_MAX = 10_000  # kept identities, by a hash of their token; above it the least recently used one is evicted


class RecentTokens:
    """Checks tokens as `Authenticator` does, each only once while the public keys stay the same."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._generation = authenticator.generation
        self._identities: OrderedDict[bytes, Identity] = OrderedDict()

    async def identify(self, token: str) -> Identity:
        """Check a token, as in the Authorization header of a request.

        Raises:
            TokenExpired: the token was valid and has expired.
            Unauthenticated: the token is not valid.
            Unavailable: the keys are not loaded, so the token cannot be checked.
        """
        if self._generation != self._authenticator.generation:  # a key may have been withdrawn
            self._generation = self._authenticator.generation
            self._identities.clear()
        digest = blake2b(token.encode(), digest_size=32).digest()
        identity = self._identities.get(digest)
        if identity is None:
            identity = await self._authenticator.identify(token)
            self._identities[digest] = identity
            if len(self._identities) > TOKENS_MAX:
                self._identities.popitem(last=False)
        elif identity.expires_at <= time.time():
            del self._identities[digest]
            raise TokenExpired
        else:
            self._identities.move_to_end(digest)
        return identity
