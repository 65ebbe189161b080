"""The OpenAPI document of the whole origin, of auth and of the gateway, which both of them serve.

The services do not import each other, so `make docs` merges their descriptions into the file next to this module; a
test compares it with the code.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi.json")


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    found: dict[str, Any] = json.loads(FILE.read_bytes())
    return found
