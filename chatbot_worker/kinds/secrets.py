"""Secrets of a chatbot: its options name an environment variable, and never hold the secret itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr, StringConstraints

from chatbot_worker.chatbots.protocol import Unusable
from shared.runtime.settings import require_strong, secret

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]


def read_secret(field: str, name: str | None, url: str) -> SecretStr | None:
    """The secret that an option names, which is shown at an address; none if it names none.

    Raises:
        Unusable: there is no such secret, or it is a placeholder and the address not on this machine.
    """
    if not name:
        return None
    try:
        return require_strong(secret(name), url)
    except LookupError as error:
        raise Unusable(f"options.{field}: {error.args[0]}") from None
    except ValueError as error:
        raise Unusable(f"options.{field}: {name} {error}") from None
