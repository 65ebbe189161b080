"""Settings from environment variables with the prefix `BACKCHAT_`, all validated before anything is opened.

A variable may also be a file with its name in lower case (`/run/secrets/backchat_database_url`), as Docker and
Kubernetes mount secrets. The environment takes precedence.
"""

from __future__ import annotations

import os
import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from shared.runtime.credentials import WEAK, is_weak_address, on_this_machine, weakness

PREFIX = "BACKCHAT_"
ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+", re.IGNORECASE)
OWN_PORT = re.compile(r"^(http(?=:.*:80$)|https(?=:.*:443$))(:.*):\d+$")  # browsers leave the port of the scheme out
SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://\S+:\d+")  # Kubernetes: BACKCHAT_PORT, if a Service is called backchat
CONFIG_ERROR = 2  # exit code
SECRETS = Path("/run/secrets")


def _elements(value: Any) -> Any:
    """Split the elements of a list at commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin like https://chat.example.org")
    return tuple(OWN_PORT.sub(r"\1\2", origin.lower()) for origin in origins)


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(f"{network!r} is not an address or network like 10.0.0.0/8") from None
    return networks


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_elements), AfterValidator(_origins)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_elements), AfterValidator(_networks)]


def _check_urls(url: str) -> str:
    """Check that each URL is complete and its password is not weak; the error never contains any part of it."""
    for address in url.split(","):
        try:
            parts = urlsplit(address.strip())
            fits = bool(parts.scheme and (parts.hostname or parts.path)) and (parts.port is None or parts.port > 0)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("must have the form scheme://user:password@host:port/path")
        if is_weak_address(address.strip()):
            raise ValueError(WEAK)
    return url


Url = Annotated[str, AfterValidator(_check_urls)]


class CommonSettings(BaseSettings):
    """Settings of every process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Remove white space around values, as of a secret that ends in a newline, and values that are not ours."""
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {
            name: value
            for name, value in trimmed.items()
            if value != "" and not (isinstance(value, str) and SERVICE_LINK.fullmatch(value))
        }

    host: str = Field(default="127.0.0.1", description="IP address or host name on which the process listens")
    port: int = Field(
        default=8000, ge=0, le=65535, description="TCP port on which the process listens. 0 selects a free one"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest severity that is logged"
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Format of the log: coloured lines, or one JSON object a line"
    )
    metrics: Literal["on", "off"] = Field(default="on", description="Whether `/metrics` is served")
    limits: Literal["on", "off"] = Field(
        default="on",
        description="`off` disables rate limits per user and per address, for load tests. Limits of sizes remain",
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Number of partitions of the command log. Must be the same for all processes",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of reverse proxies, separated by commas, whose `X-Forwarded-For`, "
        "`-Proto` and `-Host` headers are trusted. Empty: no proxy is trusted",
    )


class DistributedSettings(CommonSettings):
    """Additional settings of every process of the distributed stack."""

    amqp_url: Url = Field(
        pattern=r"^amqps?://[^/]",
        repr=False,
        description="URL of RabbitMQ, or the URLs of the nodes of a cluster, separated by commas",
    )


class OriginSettings(CommonSettings):
    """Settings of every process that serves browsers."""

    allowed_origins: Origins = Field(
        default=(),
        description="Origins of pages that may connect, separated by commas. Empty: only the origin of the server",
    )


S = TypeVar("S", bound=BaseSettings)


def load(model: type[S]) -> S:
    """Read the settings, or exit with code 2 and one line for each invalid or missing variable."""
    try:
        return model(_secrets_dir=SECRETS if SECRETS.is_dir() else None)
    except SettingsError as error:  # pydantic names the field in its message only
        field = next(iter(re.findall(r'field "(\w+)"', str(error))), "settings").upper()
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else "is not a text in UTF-8"
        raise config_error(field, f"the file in {SECRETS} cannot be read: {why}") from None
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            field = "_".join(map(str, problem["loc"])).upper() or "settings"
            print(f"{PREFIX}{field}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise SystemExit(CONFIG_ERROR) from None


def config_error(variable: str, reason: str) -> SystemExit:
    """Print an error of a variable that is found later, such as a missing file, and return the exception to raise."""
    print(f"{PREFIX}{variable}: {reason}", file=sys.stderr)
    return SystemExit(CONFIG_ERROR)


def require_strong(value: SecretStr, url: str) -> SecretStr:
    """Return a credential for a URL, if it is strong or the URL's host is this machine.

    Raises:
        ValueError: the credential is weak. The message contains no part of it.
    """
    if not on_this_machine(urlsplit(url).hostname) and (why := weakness(value.get_secret_value())):
        raise ValueError(why)
    return value


def secret(name: str) -> SecretStr:
    """Return the secret with a name from a configuration file, which must not contain secrets itself.

    It is the environment variable with that name, else the content of the file at `<name>_FILE`, else of the file with
    the name in lower case in `/run/secrets`. Surrounding white space is removed.

    Raises:
        LookupError: there is no such secret, or it cannot be read. The message is one line.
    """
    value = os.environ.get(name)  # noqa: TID251 - allowed in this module
    if value is None:
        path = os.environ.get(f"{name}_FILE") or SECRETS / name.lower()  # noqa: TID251
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise LookupError(f"neither {name} nor a readable file in {name}_FILE is in the environment") from None
    if not (stripped := value.strip()):
        raise LookupError(f"{name} is empty")
    return SecretStr(stripped)
