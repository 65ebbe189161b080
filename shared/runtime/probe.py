"""`python -m shared.runtime.probe URL`: exit code 0 if a GET answers 200. A container's health check, without curl."""

from __future__ import annotations

import sys
import urllib.request

TIMEOUT = 4.0  # seconds


def main(arguments: list[str]) -> int:
    """Ask once; 1 if it is not there or not well, 2 for a wrong call."""
    if len(arguments) != 1:
        print("usage: python -m shared.runtime.probe URL", file=sys.stderr)  # noqa: T201
        return 2
    try:
        with urllib.request.urlopen(arguments[0], timeout=TIMEOUT) as answer:  # noqa: S310 - the operator's own
            return 0 if answer.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
