"""A stack with the roles, users and permissions of the composed stack, made by the scripts of `deploy/`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from deploy import secrets
from tests.conftest import Fresh
from tests.support.postgresql import PostgreSQL, _postgresql_binaries
from tests.support.rabbitmq import RabbitMQ
from tests.support.stack import ROOT, DistributedStack, Part

DATABASE = "backchat"


class Rights:
    """The addresses of database and broker for each service."""

    def __init__(self, directory: Path, database: str, broker: str) -> None:
        self._directory = directory
        self._database = database  # host:port
        self._broker = broker  # host:port/vhost

    def database(self, service: str) -> str:
        """Return the database address of a service, or of `migrate`."""
        url = (self._directory / service / "backchat_database_url").read_text()
        return url.replace("postgres:5432", self._database)

    def broker(self, service: str) -> str:
        """Return the broker address of a service."""
        url = (self._directory / service / "backchat_amqp_url").read_text()
        return url.replace("rabbitmq:5672/", self._broker)


class LeastPrivilegedStack(DistributedStack):
    """A stack whose processes have only the rights of the composed stack."""

    def __init__(self, directory: Path, rights: Rights) -> None:
        self._rights = rights
        super().__init__(directory, postgresql_url=rights.database("migrate"), amqp_url="")

    def _parts(self) -> dict[str, Part]:
        parts = super()._parts()
        for part in parts.values():
            part.settings |= self._of(part.module)
        return parts

    def _of(self, module: str) -> Mapping[str, str]:
        urls = {"AMQP_URL": self._rights.broker(module)}
        if module in ("auth_service", "persistence_worker"):
            urls["DATABASE_URL"] = self._rights.database(module)
        return urls


@pytest.fixture(scope="module")
def rights(rabbitmq: RabbitMQ, new_vhost: Fresh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rights]:
    """A database and a vhost with the rights of the composed stack."""
    directory = tmp_path_factory.mktemp("secrets")
    directory.chmod(0o755)
    secrets.main(directory)
    server = PostgreSQL().start()
    try:
        with new_vhost() as url:
            place = url.rpartition("@")[2]
            _permit(rabbitmq, directory, place.rpartition("/")[2])
            _make_roles(server, directory)
            yield Rights(directory, f"127.0.0.1:{server.port}", place)
    finally:
        server.stop()


def _permit(rabbitmq: RabbitMQ, directory: Path, vhost: str) -> None:
    path = directory / "rabbitmq" / "definitions.json"
    definitions = json.loads(path.read_text())
    del definitions["vhosts"]
    for permission in definitions["permissions"]:
        permission["vhost"] = vhost
    path.chmod(0o644)
    path.write_text(json.dumps(definitions))
    rabbitmq.ctl("import_definitions", str(path))


def _make_roles(server: PostgreSQL, directory: Path) -> None:
    with psycopg.connect(server.url().replace("+asyncpg", ""), autocommit=True, connect_timeout=30) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    variables = {
        "PATH": f"{_postgresql_binaries()}:{os.environ['PATH']}",  # noqa: TID251 - the environment of the script
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "POSTGRES_USER": "app",
        "POSTGRES_DB": DATABASE,
        "BACKCHAT_SECRETS": str(directory / "postgres"),
    }
    roles = ["sh", str(ROOT / "deploy/postgresql/roles.sh")]
    subprocess.run(roles, env=variables, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def stack(rights: Rights, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeastPrivilegedStack]:
    """The five processes with the rights of the composed stack."""
    running = LeastPrivilegedStack(tmp_path_factory.mktemp("least"), rights)
    try:
        running.start_now()
        yield running
        running.stop_now()
    finally:
        running.close()
