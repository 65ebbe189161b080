"""The directory of the keys: Ed25519 private keys (`*.pem`) and the server's secret, shared by all replicas.

Every file appears under its name whole or not at all, and never over another; so of two replicas that start on an
empty directory one makes the first key, and both use it.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from auth_service.keys import KeyRing, SigningKey

logger = structlog.get_logger(__name__)

FIRST_KEY = "0001.pem"
SECRET = "server.secret"  # noqa: S105 - the file's name
SECRET_BYTES = 32
PEM_MAX = 16 * 1024  # bytes; a PKCS8 Ed25519 key has 119


class UnusableKeys(Exception):
    """The key directory cannot be used; the text names the file and the reason, never its content."""


class KeyDirectory:
    """The keys of one process."""

    def __init__(self, directory: Path) -> None:
        """Read the directory, made with a first key and a secret in it where there are none.

        Raises:
            UnusableKeys: something in it cannot be read, written or understood.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(directory.glob("*.pem")):
                _create(directory, FIRST_KEY, _new_key())
            if not (directory / SECRET).exists():
                _create(directory, SECRET, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
            self._secret = _read_secret(directory / SECRET)
            self.ring = KeyRing([_read_key(file) for file in sorted(directory.glob("*.pem"))])
        except OSError as error:
            raise UnusableKeys(f"{error.filename or directory}: {error.strerror}") from None

    def jwks(self) -> dict[str, Any]:
        """All public keys (RFC 7517)."""
        return self.ring.jwks()

    def secret(self, purpose: str) -> bytes:
        """The server's key for one purpose (32 bytes), the same on all replicas."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def _read(file: Path) -> bytes:
    with file.open("rb") as source:
        if os.fstat(source.fileno()).st_mode & 0o007:
            logger.warning("key readable by everybody", file=str(file))
        return source.read(PEM_MAX)


def _read_key(file: Path) -> SigningKey:
    try:
        key = load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"{file}: no unencrypted private key in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKeys(f"{file}: not an Ed25519 key")
    return SigningKey.of(key)


def _read_secret(file: Path) -> bytes:
    try:
        secret = bytes.fromhex(_read(file).decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise UnusableKeys(f"{file}: must hold {SECRET_BYTES} bytes or more in hexadecimal digits")
    return secret


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _create(directory: Path, name: str, content: bytes) -> bool:
    """Whether the file was made by us: a hard link to a finished file, so that another process's is left alone."""
    unfinished = directory / f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor, opened with its mode
            target.write(content)
            target.flush()
            os.fsync(descriptor)
        (directory / name).hardlink_to(unfinished)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink()
    _sync(directory)
    logger.info("key made", file=str(directory / name))
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
