"""The directory of the keys: Ed25519 private keys (`*.pem`) and the server's secret, shared by all replicas.

Replicas look into it every second, so a rotation is a file more, and needs no restart. Every file appears under its
name whole or not at all, and never over another; so of two replicas that start on an empty directory one makes the
first key, and both use it.
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
INTERVAL = 1.0  # seconds between two looks
DIFFERENT_BYTES = 16  # of a key or secret; a pattern or a word has fewer, and chance once in 10^16 times
PUBLISHED_KEYS = frozenset(  # public halves of those that stand in RFC 8032, section 7.1; the first also in RFC 8037
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
    """The key directory cannot be used; the text names the file and the reason, never its content."""


class KeyDirectory:
    """The keys of one process; `watch` follows what happens in the directory."""

    def __init__(self, directory: Path, *, overlap: float, token_ttl: float) -> None:
        """Read the directory, made with a first key and a secret in it where there are none; both times in seconds.

        Raises:
            UnusableKeys: something in it cannot be read, written or understood.
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
        """All public keys (RFC 7517)."""
        return self.ring.jwks()

    def secret(self, purpose: str) -> bytes:
        """The server's key for one purpose (32 bytes), the same on all replicas."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def refresh(self) -> None:
        """Let the ring hold what the directory says now.

        Raises:
            UnusableKeys: a file cannot be read or understood; the ring stays as it was.
        """
        try:
            files = _files(self._directory)
            if not files:
                raise UnusableKeys(f"{self._directory}: no key is left")
            self._read_keys = {file: self._read_keys.get(file) or _read_key(self._directory, file) for file in files}
        except OSError as error:
            raise UnusableKeys(f"{error.filename or self._directory}: {error.strerror}") from None
        found = schedule(files, overlap=self._overlap, token_ttl=self._token_ttl, now=time.time())
        by_name = {file.name: key for file, key in self._read_keys.items()}
        if self.ring.hold([by_name[name] for name in found.published], by_name[found.signing]):
            logger.info("signing keys", published=found.published, signing=found.signing)

    async def watch(self) -> None:
        """Refresh for ever; while the directory cannot be used the last keys that could stay."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                self.refresh()
            except UnusableKeys as error:
                if not self._failing:
                    logger.error("the signing keys cannot be read again", reason=str(error))  # noqa: TRY400
                self._failing = True
            else:
                self._failing = False

    def rotate(self) -> tuple[str, float]:
        """Add a key; its name, and in how many seconds it signs. Files of keys that are of no use any more are removed.

        Raises:
            UnusableKeys: another new key has not come into force yet, or the directory cannot be written.
        """
        try:
            files = _files(self._directory)
            found = schedule(files, overlap=self._overlap, token_ttl=self._token_ttl, now=time.time())
            if found.waiting:
                raise UnusableKeys(f"{self._directory / found.waiting[-1]}: the last rotation is not over yet")
            name = _successor(files[-1].name)
            if not _create(self._directory, name, _new_key()):
                raise UnusableKeys(f"{self._directory / name}: somebody else rotates just now")
            for retired in found.retired:
                (self._directory / retired).unlink(missing_ok=True)
        except OSError as error:
            raise UnusableKeys(f"{error.filename or self._directory}: {error.strerror}") from None
        return name, self._overlap


def _files(directory: Path) -> list[KeyFile]:
    """By name."""
    return [KeyFile(path.name, path.stat().st_mtime) for path in sorted(directory.glob("*.pem"))]


def _successor(name: str) -> str:
    """A name after the last one: the number in it plus one, and where that would not sort behind it, with a suffix."""
    stem = name.removesuffix(".pem")
    following = f"{int(stem) + 1:0{len(stem)}d}.pem" if stem.isascii() and stem.isdigit() else ""
    return following if following > name else f"{stem}_1.pem"


def _read(file: Path) -> bytes:
    with file.open("rb") as source:
        if os.fstat(source.fileno()).st_mode & 0o007:
            logger.warning("key readable by everybody", file=str(file))
        return source.read(PEM_MAX)


def _read_key(directory: Path, key_file: KeyFile) -> SigningKey:
    file = directory / key_file.name
    try:
        key = load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"{file}: no unencrypted private key in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKeys(f"{file}: not an Ed25519 key")
    if not _is_random(key.private_bytes_raw()) or key.public_key().public_bytes_raw().hex() in PUBLISHED_KEYS:
        raise UnusableKeys(f"{file}: anybody can know this key; make one with `openssl genpkey -algorithm ed25519`")
    return SigningKey.of(key)


def _read_secret(file: Path) -> bytes:
    try:
        secret = bytes.fromhex(_read(file).decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES or not _is_random(secret):
        raise UnusableKeys(f"{file}: must hold {SECRET_BYTES} bytes or more in hexadecimal digits, by chance")
    return secret


def _is_random(secret: bytes) -> bool:
    """Whether chance may have made it."""
    return len(set(secret)) >= DIFFERENT_BYTES


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
