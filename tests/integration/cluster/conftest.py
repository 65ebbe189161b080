"""One cluster of three broker nodes for the session; all nodes run at the start of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import RabbitMQCluster
from tests.support.servers import NotInstalled

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: they need a cluster."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.rabbitmq)
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[RabbitMQCluster]:
    try:
        cluster = RabbitMQCluster()
    except NotInstalled as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(shared_cluster: RabbitMQCluster) -> RabbitMQCluster:
    """The cluster with all nodes running."""
    return shared_cluster.start()
