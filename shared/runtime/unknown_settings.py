"""Warns at start of variables with our prefix that no process reads: typing errors, and settings of other releases."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import structlog

from shared.runtime.settings import PREFIX, SECRETS, SERVICE_LINK

logger = structlog.get_logger(__name__)

NAMES = Path(__file__).with_name("setting_names.txt")  # of all processes, written by `make docs`
# Kubernetes adds these for each Service, here for those whose names begin with "backchat".
SERVICE_NAMES = re.compile(r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)")
OTHERS = re.compile(r"TEST_.+|.+_FILE")  # of the tests; files of secrets that a catalogue names


def warn_of_unknown_settings() -> None:
    """Log one line for each unknown variable or file of a secret, with the name that is closest to it."""
    known = set(NAMES.read_text().split())
    for name in _found():
        if name not in known:
            closest = difflib.get_close_matches(name, known, n=1)
            logger.warning("setting.unknown", name=name, **({"closest": closest[0]} if closest else {}))


def _found() -> Iterator[str]:
    """Return the names with our prefix in the environment and among the files of secrets."""
    for name, value in sorted(os.environ.items()):  # noqa: TID251 - the names of all variables
        rest = name.removeprefix(PREFIX)
        if rest != name and not (SERVICE_NAMES.fullmatch(rest) or OTHERS.fullmatch(rest) or SERVICE_LINK.search(value)):
            yield name
    if SECRETS.is_dir():
        yield from sorted(path.name.upper() for path in SECRETS.glob(f"{PREFIX.lower()}*"))
