"""The directory of signing keys."""

import base64
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auth_service import app
from auth_service.crypto.key_directory import FIRST_KEY, SECRET, KeyDirectory, UnusableKeys
from auth_service.crypto.key_ring import KeyRing, SigningKey
from auth_service.settings import AuthSettings

EXAMPLE = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")  # of RFC 8037, appendix A


def pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def open_keys(directory: Path) -> KeyDirectory:
    return KeyDirectory(directory, overlap=90, token_ttl=900)


def read_keys(directory: Path) -> KeyRing:
    return open_keys(directory).ring


def names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def test_empty_directory_gets_a_key_and_a_secret_readable_by_the_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "keys"
    ring = read_keys(directory)
    assert names(directory) == [FIRST_KEY, SECRET]
    for file in directory.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert isinstance(load_pem_private_key((directory / FIRST_KEY).read_bytes(), None), ed25519.Ed25519PrivateKey)
    assert read_keys(directory).signing.kid == ring.signing.kid


@pytest.mark.timeout(180)
def test_concurrently_started_replicas_use_the_same_first_key(tmp_path: Path) -> None:
    """Each process prints the key that it would sign with."""
    script = (
        "import sys, pathlib; from auth_service.crypto.key_directory import KeyDirectory;"
        "keys = KeyDirectory(pathlib.Path(sys.argv[1]), overlap=90, token_ttl=900); print(keys.ring.signing.kid, keys.secret('x').hex())"
    )
    for attempt in range(2):
        directory = tmp_path / str(attempt)
        replicas = [
            subprocess.Popen([sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        found = {replica.communicate(timeout=60)[0].strip().splitlines()[-1] for replica in replicas}
        keys = open_keys(directory)
        assert found == {f"{keys.ring.signing.kid} {keys.secret('x').hex()}"}
        assert names(directory) == [FIRST_KEY, SECRET]


def test_replica_uses_a_key_that_appears_while_it_creates_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a second replica appears between the check and the link."""
    winner = ed25519.Ed25519PrivateKey.generate()
    link = Path.hardlink_to

    def late(self: Path, target: Path) -> None:
        if self.name == FIRST_KEY:
            self.write_bytes(pem(winner))
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", late)
    assert read_keys(tmp_path).signing.kid == SigningKey.of(winner).kid
    assert names(tmp_path) == [FIRST_KEY, SECRET]


def test_derived_secret_differs_by_purpose_and_survives_a_restart(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    assert len(keys.secret("one")) == 32
    assert keys.secret("one") == open_keys(tmp_path).secret("one") != keys.secret("another")


@pytest.mark.parametrize("content", [b"", b"changeme", b"ab" * 31, b"x" * 64, b"\xff" * 64, b"00" * 32, b"c0ffee" * 16])
def test_weak_secret_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / SECRET).write_bytes(content)
    with pytest.raises(SystemExit):
        app.load_keys(AuthSettings(), tmp_path)
    assert "server.secret: must hold 32 bytes" in capsys.readouterr().err


def test_last_key_by_name_signs_and_all_keys_are_published(tmp_path: Path) -> None:
    keys = {name: ed25519.Ed25519PrivateKey.generate() for name in ("0002.pem", "0001.pem", "0003.pem")}
    for name, key in keys.items():
        (tmp_path / name).write_bytes(pem(key))
        os.utime(tmp_path / name, times=(time.time() - 100, time.time() - 100))
    (tmp_path / "README").write_text("not a key")
    ring = read_keys(tmp_path)
    assert ring.signing.kid == SigningKey.of(keys["0003.pem"]).kid
    assert [jwk["kid"] for jwk in ring.jwks()["keys"]] == [SigningKey.of(keys[name]).kid for name in sorted(keys)]
    assert FIRST_KEY in {file.name for file in tmp_path.iterdir()}


def test_jwks_has_public_keys_only(tmp_path: Path) -> None:
    (jwk,) = read_keys(tmp_path).jwks()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")


def test_kid_is_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    """The example key of the RFC has this thumbprint."""
    key = SigningKey.of(ed25519.Ed25519PrivateKey.from_private_bytes(EXAMPLE))
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_repr_of_a_key_ring_has_no_private_key(tmp_path: Path) -> None:
    ring = read_keys(tmp_path)
    assert "PrivateKey" not in repr(ring.signing)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an unencrypted private key"),
        (b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n", "not an unencrypted private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
        (pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))), "publicly known"),
        (pem(ed25519.Ed25519PrivateKey.from_private_bytes(EXAMPLE)), "publicly known"),
        (
            pem(ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
            "not an unencrypted private key",
        ),
    ],
)
def test_invalid_key_ends_the_process_with_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    """Also with a valid key in the directory: an unreadable file must not change which key signs."""
    read_keys(tmp_path)
    (tmp_path / "0002.pem").write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        app.load_keys(AuthSettings(), tmp_path)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("BACKCHAT_SIGNING_KEYS: ")
    assert "0002.pem" in line
    assert reason in line


def test_unusable_directory_ends_the_process_with_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as caught:
        app.load_keys(AuthSettings(), tmp_path / "file")
    assert caught.value.code == 2
    assert "BACKCHAT_SIGNING_KEYS" in capsys.readouterr().err


def age(directory: Path, seconds: float) -> None:
    """Make every file older by the given time."""
    for file in directory.glob("*.pem"):
        moment = file.stat().st_mtime - seconds
        os.utime(file, times=(moment, moment))


def test_rotation_reaches_running_replicas(tmp_path: Path) -> None:
    """A new key is published at once and signs after the overlap; the old one is removed when its last token has expired."""
    replicas = [open_keys(tmp_path) for _ in range(2)]
    old = replicas[0].ring.signing.kid
    assert open_keys(tmp_path).rotate() == ("0002.pem", 90)
    with pytest.raises(UnusableKeys, match="does not sign yet"):
        open_keys(tmp_path).rotate()

    def seen() -> set[tuple[str, int]]:
        for replica in replicas:
            replica.refresh()
        return {(replica.ring.signing.kid, len(replica.jwks()["keys"])) for replica in replicas}

    assert seen() == {(old, 2)}
    age(tmp_path, 91)
    ((new, published),) = seen()
    assert (new != old, published) == (True, 2)
    age(tmp_path, 900 + 60)
    assert seen() == {(new, 1)}
    assert names(tmp_path) == ["0001.pem", "0002.pem", SECRET], "a running process removes no file"
    open_keys(tmp_path).rotate()
    assert names(tmp_path) == ["0002.pem", "0003.pem", SECRET]
    assert seen() == {(new, 2)}


def test_unreadable_directory_keeps_the_loaded_keys(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    kid = keys.ring.signing.kid
    for content in (b"", b"half a ke"):
        (tmp_path / "0002.pem").write_bytes(content)
        with pytest.raises(UnusableKeys):
            keys.refresh()
    for file in tmp_path.glob("*.pem"):
        file.unlink()
    with pytest.raises(UnusableKeys, match="contains no key"):
        keys.refresh()
    assert keys.ring.signing.kid == kid
    assert keys.jwks()["keys"]


@pytest.mark.parametrize(
    ("name", "following"),
    [("0001.pem", "0002.pem"), ("0009.pem", "0010.pem"), ("9.pem", "9_1.pem"), ("prod.pem", "prod_1.pem")],
)
def test_name_of_a_new_key_sorts_last(tmp_path: Path, name: str, following: str) -> None:
    (tmp_path / name).write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    assert open_keys(tmp_path).rotate()[0] == following
    assert sorted([following, name]) == [name, following]
