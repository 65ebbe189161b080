"""`python -m embedded [serve | service …]`: runs the process, or a command alongside it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack

from embedded.app import CommandError, add_service_arguments, assemble, run_service_command
from embedded.data import DataDirectory, InUse, lock
from embedded.settings import EmbeddedSettings
from shared.errors import Unavailable
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import config_error, load


def announce(address: str) -> None:
    """Print the address on standard output."""
    print(f"Backchat is running at {address} (Ctrl-C stops it)", flush=True)  # noqa: T201


def main() -> None:
    """Run the command given by the arguments."""
    parser = argparse.ArgumentParser(prog="python -m embedded")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve until a signal is received (the default)")
    add_service_arguments(commands)
    chosen = parser.parse_args()
    if chosen.command == "service":
        service(chosen)
    else:
        serve()


def service(chosen: argparse.Namespace) -> None:
    """Run a command on services and print the result; exit with code 1 on failure. The process may be running."""
    settings = load(EmbeddedSettings)
    logs.configure("embedded", level="error", form=settings.log_format)
    data = DataDirectory(settings.data_dir.expanduser().resolve())
    try:
        print(asyncio.run(run_service_command(chosen, data)))  # noqa: T201
    except (CommandError, Unavailable) as error:
        sys.exit(f"embedded: {error}")


def serve() -> None:
    """Run until Ctrl-C or SIGTERM."""
    settings = load(EmbeddedSettings)
    logs.configure("embedded", level=settings.log_level, form=settings.log_format)
    try:
        with lock(settings.data_dir) as data:

            async def build(stack: AsyncExitStack) -> Assembly:
                return await assemble(settings, data, stack)

            run(build, host=settings.host, port=settings.port, announce=announce)
    except InUse as error:
        raise config_error("DATA_DIR", str(error)) from None
    except OSError as error:
        raise config_error("DATA_DIR", f"{settings.data_dir}: {error.strerror}") from None


if __name__ == "__main__":
    main()
