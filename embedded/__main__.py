"""`python -m embedded`: settings, the data directory, then the one process."""

from __future__ import annotations

from contextlib import AsyncExitStack

from embedded.app import assemble
from embedded.data import InUse, hold
from embedded.settings import EmbeddedSettings
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import config_error, load


def announce(address: str) -> None:
    """The one line that a newcomer needs."""
    print(f"Backchat is running at {address} (Ctrl-C stops it)", flush=True)  # noqa: T201


def main() -> None:
    """Run until Ctrl-C or SIGTERM."""
    settings = load(EmbeddedSettings)
    logs.configure("embedded", level=settings.log_level, form=settings.log_format)
    try:
        with hold(settings.data_dir) as data:

            async def build(stack: AsyncExitStack) -> Assembly:
                return await assemble(settings, data, stack)

            run(build, host=settings.host, port=settings.port, announce=announce)
    except InUse as error:
        raise config_error("DATA_DIR", str(error)) from None
    except OSError as error:
        raise config_error("DATA_DIR", f"{settings.data_dir}: {error.strerror}") from None


if __name__ == "__main__":
    main()
