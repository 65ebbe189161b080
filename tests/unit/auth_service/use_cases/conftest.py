"""A check of passcodes on fakes, and its parts."""

import pytest
from prometheus_client import CollectorRegistry

from auth_service.metrics import Metrics
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.throttle import NoThrottle
from tests.unit.auth_service.fakes import MemoryStore, PlainHasher


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def hasher() -> PlainHasher:
    return PlainHasher()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


@pytest.fixture
def check(store: MemoryStore, hasher: PlainHasher, metrics: Metrics) -> CredentialCheck:
    return CredentialCheck(store=store, hasher=hasher, throttle=NoThrottle(), metrics=metrics)
