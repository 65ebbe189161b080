"""Registers users of Backchat and logs them in, over the public HTTP routes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PASSCODE = "benchmark-only-passcode"
AT_ONCE = 4  # Argon2 fills the cores anyway
CONFLICT = 409


def tokens(auth_url: str, count: int) -> tuple[str, ...]:
    """Return an access token for each of `count` users. Missing users are registered."""

    def one(number: int) -> str:
        body = {"id": f"bench-{number}", "passcode": PASSCODE}
        try:
            _post(f"{auth_url}/register", body)
        except urllib.error.HTTPError as error:
            if error.code != CONFLICT:
                raise
        return str(_post(f"{auth_url}/login", body)["access_token"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(one, range(count)))


def _post(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))
