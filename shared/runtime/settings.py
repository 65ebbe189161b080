"""Settings: environment alone, prefix `BACKCHAT_`, checked whole before anything opens.

A container may be given a variable as a file of that name (`/run/secrets/backchat_database_url`), as Docker and
Kubernetes hand out secrets; the environment goes first.
"""

from __future__ import annotations

import os
import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.runtime.credentials import WEAK, is_weak_address, on_this_machine, weakness

PREFIX = "BACKCHAT_"
ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+", re.IGNORECASE)
CONFIG_ERROR = 2  # exit code
SECRETS = Path("/run/secrets")


def _elements(value: Any) -> Any:
    """The elements of a list in a variable, separated by commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin like https://chat.example.org")
    return tuple(origin.lower() for origin in origins)


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(f"{network!r} is no address or network like 10.0.0.0/8") from None
    return networks


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_elements), AfterValidator(_origins)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_elements), AfterValidator(_networks)]


def _parts_fit(url: str) -> str:
    """Each address has the parts that an address has, and no password that strangers try first.

    The reason never shows any of it.
    """
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


Url = Annotated[str, AfterValidator(_parts_fit)]


class CommonSettings(BaseSettings):
    """What every process reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field(default="127.0.0.1", description="Address that this process listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that this process listens on; 0 takes a free one")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level logged"
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Form of the log lines")
    metrics: Literal["on", "off"] = Field(default="on", description="Whether `/metrics` is served")
    limits: Literal["on", "off"] = Field(
        default="on", description="`off` lifts per-user and per-address rate limits, for load tests; sizes stay"
    )
    partitions: int = Field(default=4, ge=1, le=256, description="Partitions of the log; all processes must agree")
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of the proxies in front, separated by commas, whose `X-Forwarded-For`, "
        "`-Proto` and `-Host` are believed; none: nobody's",
    )


class DistributedSettings(CommonSettings):
    """What every process of the distributed stack reads besides."""

    amqp_url: Url = Field(
        pattern=r"^amqps?://[^/]",
        repr=False,
        description="RabbitMQ; several addresses of a cluster separated by commas",
    )


class OriginSettings(CommonSettings):
    """What every process reads that browsers talk to."""

    allowed_origins: Origins = Field(
        default=(), description="Origins that a browser may connect from, separated by commas; none: the server's own"
    )


S = TypeVar("S", bound=BaseSettings)


def load(model: type[S]) -> S:
    """Read the environment, or end the process with code 2 and a line for each wrong or missing variable."""
    try:
        return model(_secrets_dir=SECRETS if SECRETS.is_dir() else None)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            field = "_".join(map(str, problem["loc"])).upper() or "settings"
            print(f"{PREFIX}{field}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(CONFIG_ERROR) from None


def config_error(variable: str, reason: str) -> SystemExit:
    """The same one line and exit code for what only shows after reading (a file missing, say)."""
    print(f"{PREFIX}{variable}: {reason}", file=sys.stderr)
    return SystemExit(CONFIG_ERROR)


def require_strong(value: SecretStr, url: str) -> SecretStr:
    """A credential that is shown at an address, unless that is beyond this machine and anybody could guess it.

    Raises:
        ValueError: so it is; the reason shows nothing of it.
    """
    if not on_this_machine(urlsplit(url).hostname) and (why := weakness(value.get_secret_value())):
        raise ValueError(why)
    return value


def secret(name: str) -> SecretStr:
    """The secret of a name that a configuration file may hold where it must not hold the secret itself.

    It is the environment variable of that name, else the file that `<name>_FILE` names, else the file of
    that name in lower case in `/run/secrets`. White space around it is no part of it.

    Raises:
        LookupError: there is none, or it cannot be read; in one line.
    """
    value = os.environ.get(name)  # noqa: TID251 - this module is who may
    if value is None:
        path = os.environ.get(f"{name}_FILE") or SECRETS / name.lower()  # noqa: TID251
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise LookupError(f"neither {name} nor a readable file in {name}_FILE is in the environment") from None
    if not (stripped := value.strip()):
        raise LookupError(f"{name} is empty")
    return SecretStr(stripped)
