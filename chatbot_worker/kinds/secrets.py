"""Reads the secrets of chatbots from environment variables. Options contain only the name of the variable."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr, StringConstraints

from chatbot_worker.chatbots.protocol import Unusable
from shared.runtime.settings import require_strong, secret

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]


def read_secret(field: str, name: str | None, url: str) -> SecretStr | None:
    """Return the secret that an option names; none without a name.

    Args:
        field: name of the option.
        name: of the environment variable.
        url: to which the secret is sent.

    Raises:
        Unusable: the secret is missing, or is a placeholder and the URL is not on this machine.
    """
    if not name:
        return None
    try:
        return require_strong(secret(name), url)
    except LookupError as error:
        raise Unusable(f"options.{field}: {error.args[0]}") from None
    except ValueError as error:
        raise Unusable(f"options.{field}: {name} {error}") from None
