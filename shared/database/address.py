"""Addresses of PostgreSQL: the URL of SQLAlchemy or of libpq, as arguments for asyncpg. Connects to nothing.

One URL may name several hosts, as in `@a:5432,b:5432/`, `?host=a,b&port=1,2` or `?host=a:1&host=b:2`. A parameter
without a meaning here is an error, because asyncpg would raise a `TypeError` for it in the first background task.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

from pydantic import AfterValidator

from shared.runtime.credentials import WEAK, is_weak_password, on_this_machine

PORT = 5432
CONNECT_TIMEOUT = 3.0  # seconds for one host
CONNECT_TIMEOUT_MAX = 60.0  # seconds
APPLICATION = "backchat"  # application_name of our sessions

TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
PASSED_ON = {*TLS_FILES, "sslmode", "sslpassword", "sslnegotiation", "ssl_min_protocol_version"}
PASSED_ON |= {"ssl_max_protocol_version", "passfile", "krbsrvname", "gsslib", "service"}
WHOLE_NUMBERS = {"statement_cache_size", "prepared_statement_cache_size", "max_cacheable_statement_size"}
WHOLE_NUMBERS |= {"max_cached_statement_lifetime", "connect_timeout"}
SERVER_SETTINGS = {"application_name", "options"}
WITHOUT_EFFECT = {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
WITHOUT_EFFECT |= {"fallback_application_name", "sslcompression", "sslsni", "client_encoding"}
ONLY = {  # parameters of which asyncpg, or Backchat, can do only some values
    "target_session_attrs": {"any", "primary", "read-write"},  # always read-write here
    "channel_binding": {"disable", "prefer"},
    "gssencmode": {"disable", "prefer"},
    "load_balance_hosts": {"disable"},
}
ALIASES = {"ssl": "sslmode", "database": "dbname", "username": "user", "timeout": "connect_timeout"}
NAMES = {"host", "port", "user", "password", "dbname"}
KNOWN = {*PASSED_ON, *WHOLE_NUMBERS, *SERVER_SETTINGS, *WITHOUT_EFFECT, *ONLY, *NAMES}
FORM = "must have the form postgresql+asyncpg://user:password@host:port/database"


@dataclass(frozen=True, slots=True)
class Address:
    """The arguments of one or more servers. Without `hosts`, asyncpg tries the local Unix sockets."""

    hosts: tuple[tuple[str, int], ...]
    arguments: Mapping[str, Any] = field(repr=False)  # of `asyncpg.connect`, without host, port and server settings
    server_settings: Mapping[str, str]
    timeout: float = CONNECT_TIMEOUT  # seconds for one host
    prepared_statements: int | None = None  # size of SQLAlchemy's cache; `None`: its default


def parse(url: str) -> Address:
    """Read a URL.

    Raises:
        ValueError: it cannot work. The message names the parameter, and contains no password.
    """
    try:
        parts = urlsplit(url)
        query = _query(parts)
        hosts = tuple(_hosts(parts, query))
    except _WrongParameter:
        raise
    except ValueError:
        raise ValueError(FORM) from None
    single = {name: values[-1] for name, values in query.items() if name not in {"host", "port"}}
    names = {
        "user": _part(parts.username) or single.get("user"),
        "password": _part(parts.password) or single.get("password"),
        "database": unquote(parts.path.removeprefix("/")) or single.get("dbname"),
    }
    tls = {name: value for name, value in single.items() if name in PASSED_ON}
    _check_tls(tls)
    numbers = {name: _number(name, single[name]) for name in WHOLE_NUMBERS & single.keys()}
    timeout = min(numbers.pop("connect_timeout", CONNECT_TIMEOUT), CONNECT_TIMEOUT_MAX) or CONNECT_TIMEOUT_MAX
    prepared_statements = numbers.pop("prepared_statement_cache_size", None)
    arguments: dict[str, Any] = {name: value for name, value in names.items() if value} | numbers
    if tls:
        arguments["dsn"] = f"postgresql://?{urlencode(tls)}"
    settings = {"application_name": APPLICATION} | {n: single[n] for n in SERVER_SETTINGS & single.keys()}
    return Address(hosts, arguments, settings, timeout, prepared_statements)


def check(url: str) -> str:
    """Return a URL that can work, and whose password is not weak. URLs of SQLite are returned as they are.

    Raises:
        ValueError: as `parse`, or the password is weak.
    """
    if not url.startswith("postgresql"):
        return url
    address = parse(url)
    password, user = address.arguments.get("password"), address.arguments.get("user", "")
    elsewhere = not all(on_this_machine(host) for host, _ in address.hosts)
    if password is None and {"passfile", "sslcert"} & _query(urlsplit(url)).keys():
        return url
    if elsewhere and is_weak_password(password or "", user):
        raise ValueError(WEAK)
    return url


DatabaseUrl = Annotated[str, AfterValidator(check)]


class _WrongParameter(ValueError):
    """A parameter of a URL that cannot work."""


def _part(value: str | None) -> str | None:
    return None if value is None else unquote(value)


def _query(parts: SplitResult) -> dict[str, list[str]]:
    """Return the parameters by their names in libpq."""
    found: dict[str, list[str]] = {}
    for given, values in parse_qs(parts.query, keep_blank_values=True).items():
        name = ALIASES.get(given, given)
        if name in ONLY and values[-1] not in ONLY[name]:
            raise _WrongParameter(f"the parameter {given} must be one of: {', '.join(sorted(ONLY[name]))}")
        if name not in KNOWN:
            raise _WrongParameter(f"has the unknown parameter {given}")
        found[name] = values
    return found


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise _WrongParameter(f"the parameter {name} must be a whole number")
    return int(value)


def _hosts(parts: SplitResult, query: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Yield the hosts with their ports, those before the path first."""
    specs = [spec for spec in parts.netloc.rpartition("@")[2].split(",") if spec]
    specs += [spec for value in query.get("host", ()) for spec in value.split(",") if spec]
    ports = [port for value in query.get("port", ()) for port in value.split(",")]
    if len(ports) not in {0, 1, len(specs)}:
        raise _WrongParameter("needs one port, or as many ports as hosts")
    for number, spec in enumerate(specs):
        host, port = _host(spec)
        given = ports[number if len(ports) > 1 else 0] if ports else ""
        yield host, _port(port or given)


def _host(spec: str) -> tuple[str, str]:
    """Split `host:port`, `[::1]:port`, a bare IPv6 address, or the path of a directory of sockets."""
    if spec.startswith("["):
        host, bracket, port = spec[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(FORM)
        return host, port[1:]
    spec = unquote(spec)
    if spec.startswith("/") or spec.count(":") > 1:
        return spec, ""
    host, _, port = spec.partition(":")
    if not host:
        raise ValueError(FORM)
    return host, port


def _port(value: str) -> int:
    port = int(value) if value else PORT
    if not 0 < port < 65_536:
        raise ValueError(FORM)
    return port


def _check_tls(tls: Mapping[str, str]) -> None:
    """Load the files of TLS once, because asyncpg loads them at each connection, in a background task."""
    mode = tls.get("sslmode", "prefer")
    if mode not in TLS_MODES:
        raise _WrongParameter(f"the parameter sslmode must be one of: {', '.join(TLS_MODES)}")
    for name in TLS_FILES:
        if name in tls and name != "sslkey":
            _load(name, tls)


def _load(name: str, tls: Mapping[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        Path(tls[name]).read_bytes()  # the errors of OpenSSL do not say which file cannot be read
        if name == "sslcert":
            key = tls.get("sslkey")
            name = "sslkey" if key and not Path(key).read_bytes() else name
            context.load_cert_chain(tls["sslcert"], key, lambda: tls.get("sslpassword", ""))
        else:
            context.load_verify_locations(tls[name])
    except ssl.SSLError as error:
        raise _WrongParameter(f"the file of the parameter {name} is not usable: {error.reason or error}") from None
    except OSError as error:
        raise _WrongParameter(f"the file {error.filename} of TLS cannot be read: {error.strerror}") from None
