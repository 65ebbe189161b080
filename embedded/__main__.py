"""`python -m embedded`: reads the settings, locks the data directory, and runs the process."""

from __future__ import annotations

from contextlib import AsyncExitStack

from embedded.app import assemble
from embedded.data import InUse, lock
from embedded.settings import EmbeddedSettings
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import config_error, load


def announce(address: str) -> None:
    """Print the address on standard output."""
    print(f"Backchat is running at {address} (Ctrl-C stops it)", flush=True)  # noqa: T201


def main() -> None:
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
