"""A full disk of the embedded system (contract P12): nothing acked is lost, and work continues when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.client import Device, new_account
from tests.support.stack import EmbeddedStack, running_stack
from tests.support.waiting import until

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.e2e,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system"),
]

SIZE = 12 * 1024 * 1024  # bytes


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system: a tmpfs, or ext4 in a file."""
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "tmpfs":
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    else:
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, capture_output=True)
        mounting = ["mount", "-o", "loop", str(image), str(place)]
    mounted = subprocess.run(mounting, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"{request.param} cannot be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


class SmallStack(EmbeddedStack):
    """An embedded system whose data is on a small disk."""

    def __init__(self, directory: Path, disk: Path) -> None:
        self._disk = disk
        super().__init__(directory)

    @property
    def data(self) -> Path:
        return self._disk / "data"


@pytest.fixture
def stack(tmp_path: Path, small_disk: Path) -> Iterator[SmallStack]:
    with running_stack(SmallStack(tmp_path, small_disk)) as stack:
        yield stack


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


async def test_full_disk_is_named_and_loses_nothing_acked(stack: SmallStack, small_disk: Path) -> None:
    account = await new_account(stack.auth_url)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        acked = [await device.send(session, "before")]
        filler = small_disk / "filler"
        fill(filler)

        async def send(number: int) -> dict[str, Any]:
            content = f"{number} " + "x" * 8_000
            key = f"full-{number}"
            return await device.call(
                "send_message", {"session_id": session["id"], "content": content, "client_message_id": key}
            )

        refused: dict[str, Any] = {}
        for number in range(500):
            ack = await send(number)
            if not ack["ok"] and ack["error"]["code"] != "rate_limited":
                refused = ack
                break
            if ack["ok"]:
                acked.append(ack["message_id"])
        assert refused["error"]["code"] == "unavailable", refused
        await until(lambda: _is_named(stack), 10)
        assert "the disk is full" in stack.log()

        filler.unlink()

        async def accepted() -> bool:
            return bool((await send(number))["ok"])

        await until(accepted, 10)
        await until(stack.parts["embedded"].ready, 10)

        async def stored() -> bool:
            return {*acked} <= {message["id"] for message in await device.history(session)}

        await until(stored, 30)
        messages = [m["content"] for m in await device.history(session) if m["sender_type"] == "user"]
        assert len(messages) == len(set(messages)), "none is stored twice"


def _is_named(stack: SmallStack) -> bool:
    answer = httpx2.get(f"{stack.auth_url}/readyz")
    return answer.status_code == 503 and "disk" in answer.json()["missing"]
