"""The key directory: Ed25519 private keys (`*.pem`) and the server's secret, shared by all replicas.

Each replica reads it every second, so a rotation only adds a file and needs no restart. A file is created complete
and never replaces another one: of two replicas that start on an empty directory, one creates the first key and both
use it.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from auth_service.crypto.key_ring import KeyRing, SigningKey
from auth_service.domain.key_schedule import KeyFile, schedule

logger = structlog.get_logger(__name__)

FIRST_KEY = "0001.pem"
SECRET = "server.secret"  # noqa: S105 - the file's name
SECRET_BYTES = 32
INTERVAL = 1.0  # seconds between two reads of the directory
DIFFERENT_BYTES = 16  # distinct bytes in a key or secret; a random one has fewer once in 10^16 times
PUBLISHED_KEYS = frozenset(  # public halves of the test keys in RFC 8032, section 7.1; the first is also in RFC 8037
    {
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    }
)
PEM_MAX = 16 * 1024  # bytes; a PKCS8 Ed25519 key has 119


class UnusableKeys(Exception):
    """The key directory cannot be used. The message names the file and the reason, never its content."""


class KeyDirectory:
    """Loads the keys of one process from the directory; `watch` follows its changes."""

    def __init__(self, directory: Path, *, overlap: float, token_ttl: float) -> None:
        """Read the directory, and create it with a first key and a secret if they are missing; times are in seconds.

        Raises:
            UnusableKeys: a file cannot be read, written or parsed.
        """
        self._directory = directory
        self._overlap = overlap
        self._token_ttl = token_ttl
        self._read_keys: dict[KeyFile, SigningKey] = {}
        self._failing = False
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(directory.glob("*.pem")):
                _create(directory, FIRST_KEY, _new_key())
            if not (directory / SECRET).exists():
                _create(directory, SECRET, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
            self._secret = _read_secret(directory / SECRET)
        except OSError as error:
            raise UnusableKeys(f"{error.filename or directory}: {error.strerror}") from None
        self.ring = KeyRing()
        self.refresh()

    def jwks(self) -> dict[str, Any]:
        """Return all public keys as a JWK set (RFC 7517)."""
        return self.ring.jwks()

    def secret(self, purpose: str) -> bytes:
        """Derive the secret for one purpose (32 bytes), the same on all replicas."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def refresh(self) -> None:
        """Load the current content of the directory into the ring.

        Raises:
            UnusableKeys: a file cannot be read or parsed; the ring keeps its keys.
        """
        try:
            files = _files(self._directory)
            if not files:
                raise UnusableKeys(f"{self._directory}: contains no key")
            self._read_keys = {file: self._read_keys.get(file) or _read_key(self._directory, file) for file in files}
        except OSError as error:
            raise UnusableKeys(f"{error.filename or self._directory}: {error.strerror}") from None
        found = schedule(files, overlap=self._overlap, token_ttl=self._token_ttl, now=time.time())
        by_name = {file.name: key for file, key in self._read_keys.items()}
        if self.ring.replace([by_name[name] for name in found.published], by_name[found.signing]):
            logger.info("signing_keys.loaded", published=found.published, signing=found.signing)

    async def watch(self) -> None:
        """Refresh until cancelled. While the directory cannot be used, the ring keeps the last usable keys."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                self.refresh()
            except UnusableKeys as error:
                if not self._failing:
                    logger.error("key_refresh.failed", reason=str(error))  # noqa: TRY400
                self._failing = True
            else:
                self._failing = False

    def rotate(self) -> tuple[str, float]:
        """Add a key and remove the files of retired ones. Return its name and the seconds until it signs.

        Raises:
            UnusableKeys: the previous new key does not sign yet, or the directory cannot be written.
        """
        try:
            files = _files(self._directory)
            found = schedule(files, overlap=self._overlap, token_ttl=self._token_ttl, now=time.time())
            if found.pending:
                raise UnusableKeys(
                    f"{self._directory / found.pending[-1]}: does not sign yet; wait for the last rotation to complete"
                )
            name = _successor(files[-1].name)
            if not _create(self._directory, name, _new_key()):
                raise UnusableKeys(f"{self._directory / name}: another process is adding a key at the same time")
            for retired in found.retired:
                (self._directory / retired).unlink(missing_ok=True)
        except OSError as error:
            raise UnusableKeys(f"{error.filename or self._directory}: {error.strerror}") from None
        return name, self._overlap


def _files(directory: Path) -> list[KeyFile]:
    """Return the key files in the order of names."""
    return [KeyFile(path.name, path.stat().st_mtime) for path in sorted(directory.glob("*.pem"))]


def _successor(name: str) -> str:
    """Return a name that sorts after the last one: its number plus one, or else the name with a suffix."""
    stem = name.removesuffix(".pem")
    following = f"{int(stem) + 1:0{len(stem)}d}.pem" if stem.isascii() and stem.isdigit() else ""
    return following if following > name else f"{stem}_1.pem"


def _read(file: Path) -> bytes:
    with file.open("rb") as source:
        if os.fstat(source.fileno()).st_mode & 0o007:
            logger.warning("key_file.exposed", file=str(file))
        return source.read(PEM_MAX)


def _read_key(directory: Path, key_file: KeyFile) -> SigningKey:
    file = directory / key_file.name
    try:
        key = load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"{file}: is not an unencrypted private key in PEM format") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKeys(f"{file}: is not an Ed25519 key")
    if not _is_random(key.private_bytes_raw()) or key.public_key().public_bytes_raw().hex() in PUBLISHED_KEYS:
        raise UnusableKeys(
            f"{file}: is a publicly known or non-random key; create one with `openssl genpkey -algorithm ed25519`"
        )
    return SigningKey.of(key)


def _read_secret(file: Path) -> bytes:
    try:
        secret = bytes.fromhex(_read(file).decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES or not _is_random(secret):
        raise UnusableKeys(f"{file}: must hold {SECRET_BYTES} bytes or more, random and in hexadecimal digits")
    return secret


def _is_random(secret: bytes) -> bool:
    """Return whether the bytes can come from a random generator."""
    return len(set(secret)) >= DIFFERENT_BYTES


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _create(directory: Path, name: str, content: bytes) -> bool:
    """Create a file atomically as a hard link to a complete one; return `False` if another process created it first."""
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
    logger.info("key_file.created", file=str(directory / name))
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
