"""`python -m backchat_client export URL USER SESSION`: write a session to standard output, as JSON or Markdown.

The command prompts for the passcode, or reads it from standard input if that is not a terminal.
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
    """Return the whole session as its member sees it.

    Raises:
        BackchatClientError: the login failed, or there is no such session (`not_found`).
        TimeoutError: the server did not answer in time.
    """
    async with BackchatClient(url, user_id=user, passcode=passcode) as client:
        state = await client.open(session_id, timeout=PATIENCE)
        while state.has_older:
            await client.older(session_id, timeout=PATIENCE)
        assert state.session is not None
        return FORMS[form](state.session, state.messages)


def main() -> None:
    """Run the command line. On failure print one line and exit with code 1."""
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
