"""The limit of open files, of which each connection takes one."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from shared.runtime.process import OPEN_FILES, _allow_open_files
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
_allow_open_files()
soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft == (OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)), soft
"""


def test_soft_limit_of_open_files_is_raised() -> None:
    """In a separate process, because the limit belongs to the process."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
