"""A stack that is running already, behind one address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.stack import Part, Stack


class HiddenFromTestsError(Exception):
    """A test needs a process, a log or a key of a stack of which only the address is known."""


class GivenStack(Stack):
    """A stack of which only the address is known: tests cannot inspect or break its processes."""

    def __init__(self, directory: Path, url: str) -> None:
        self._url = url
        super().__init__(directory)

    def _parts(self) -> dict[str, Part]:
        return _Hidden()

    def _prepare(self) -> None:
        """Do nothing: the stack is running."""

    @property
    def auth_url(self) -> str:
        return self._url

    @property
    def gateway_urls(self) -> list[str]:
        return [self._url, self._url]

    @property
    def keys(self) -> Path:
        raise HiddenFromTestsError("the signing keys")

    def log(self, name: str = "*") -> str:
        """Always fail.

        Raises:
            HiddenFromTestsError: always.
        """
        raise HiddenFromTestsError(f"the log of {name}")

    @property
    def _chat_database(self) -> dict[str, str]:
        raise HiddenFromTestsError("the database")

    def service(self, *arguments: str) -> tuple[int, str]:
        """Always fail.

        Raises:
            HiddenFromTestsError: always.
        """
        raise HiddenFromTestsError(f"the command {arguments[0]}")


class _Hidden(dict[str, Part]):
    """Processes of a given stack."""

    def __getitem__(self, name: str) -> Part:
        raise HiddenFromTestsError(f"the process {name}")

    def items(self) -> Any:
        raise HiddenFromTestsError("the processes")
