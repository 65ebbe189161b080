"""`python -m backchat_client export URL USER SESSION`: a session to standard output, as JSON or Markdown.

The passcode is asked for, or read from standard input where that is no terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from backchat_client.client import BackchatClient
from backchat_client.errors import BackchatClientError
from backchat_client.exporting import FORMS

PATIENCE = 60.0  # seconds for each page


async def export(url: str, user: str, passcode: str, session_id: str, form: str) -> str:
    """The whole session as its member sees it.

    Raises:
        BackchatClientError: not signed in, or `not_found`.
        TimeoutError: the server is away, or too slow.
    """
    async with BackchatClient(url, user_id=user, passcode=passcode) as client:
        state = await client.open(session_id, timeout=PATIENCE)
        while state.has_older:
            await client.older(session_id, timeout=PATIENCE)
        assert state.session is not None
        return FORMS[form](state.session, state.messages)


def main() -> None:
    """The command line; exit code 1, and one line, where it cannot be had."""
    parser = argparse.ArgumentParser("python -m backchat_client")
    commands = parser.add_subparsers(dest="command", required=True)
    wanted = commands.add_parser("export", help="write a session to standard output")
    wanted.add_argument("url", help="of the server, as in http://127.0.0.1:8000")
    wanted.add_argument("user", help="id of an account that is in the session")
    wanted.add_argument("session", help="id of the session")
    wanted.add_argument("--as", dest="form", choices=sorted(FORMS), default="markdown")
    given = parser.parse_args()
    passcode = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        told = asyncio.run(export(given.url, given.user, passcode, given.session, given.form))
    except (BackchatClientError, TimeoutError) as error:
        raise SystemExit(f"backchat_client: {error or 'no answer in time'}") from None
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
