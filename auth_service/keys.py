"""Signing keys: a directory of Ed25519 private keys, of which the last by name signs and all verify.

A key's id is its RFC 7638 thumbprint (RFC 8037 for Ed25519): it follows from the key, so replicas that read the
same files agree, and no two keys can share one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

logger = structlog.get_logger(__name__)

ALGORITHM = "EdDSA"
FIRST_KEY = "0001.pem"  # one name for all, so that of two replicas that make a first key only one succeeds
PEM_MAX = 16 * 1024  # bytes; a PKCS8 Ed25519 key has 119


class UnusableKeys(Exception):
    """The key directory cannot be used; the text names the file and the reason, never its content."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair and its id."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> SigningKey:
        """The pair of a private key."""
        return cls(private, _thumbprint(private.public_key()))

    def jwk(self) -> dict[str, str]:
        """The public half as a JWK (RFC 8037)."""
        return {**_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class KeyRing:
    """The keys of one process: which one signs, which ones verify."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """`keys` from oldest to newest, one at least."""
        self.signing = keys[-1]
        self._keys = {key.kid: key for key in keys}

    def public(self, kid: object) -> Ed25519PublicKey | None:
        """The key that a token names, if it is one of ours: a look into a dict, never a file or a URL."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        return key.private.public_key() if key else None

    def jwks(self) -> dict[str, Any]:
        """All public keys (RFC 7517)."""
        return {"keys": [key.jwk() for key in self._keys.values()]}


def read_keys(directory: Path) -> KeyRing:
    """The keys of a directory, made with a first key in it where there is none.

    Raises:
        UnusableKeys: the directory or a key cannot be read or written, or a key is not Ed25519.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = sorted(directory.glob("*.pem"))
        if not files:
            _create_first(directory)
            files = sorted(directory.glob("*.pem"))
        return KeyRing([SigningKey.of(_read(file)) for file in files])
    except OSError as error:
        raise UnusableKeys(f"{error.filename or directory}: {error.strerror}") from None


def _read(file: Path) -> Ed25519PrivateKey:
    with file.open("rb") as source:
        pem = source.read(PEM_MAX)
        if os.fstat(source.fileno()).st_mode & 0o007:
            logger.warning("signing key readable by everybody", file=str(file))
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"{file}: no unencrypted private key in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKeys(f"{file}: not an Ed25519 key")
    return key


def _create_first(directory: Path) -> None:
    """Make the first key, unless another replica is faster.

    The file appears under its name whole or not at all (a hard link to a finished file), and never over another.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    unfinished = directory / f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor, opened with its mode
            target.write(pem)
            target.flush()
            os.fsync(descriptor)
        (directory / FIRST_KEY).hardlink_to(unfinished)
        logger.info("first signing key made", directory=str(directory))
    except FileExistsError:
        logger.info("first signing key made by another process", directory=str(directory))
    finally:
        unfinished.unlink()
    _sync(directory)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}


def _thumbprint(key: Ed25519PublicKey) -> str:
    canonical = json.dumps(_jwk(key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
