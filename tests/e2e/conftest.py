"""The suite runs on both stacks: `stack` is shared by a session's tests, `own_stack` belongs to one test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conftest import STACK_URL, Fresh
from tests.support.client import Account, new_account
from tests.support.stack import DistributedStack, EmbeddedStack, GivenStack, NotToBeSeen, Stack

HERE = Path(__file__).parent
DISTRIBUTED = pytest.param("distributed", marks=[pytest.mark.postgresql, pytest.mark.rabbitmq])
KINDS = [pytest.param("given")] if STACK_URL else [pytest.param("embedded"), DISTRIBUTED]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end to end; with a given stack, what starts one of its own says nothing about that one."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            if STACK_URL and not _on_given(item):
                item.add_marker(pytest.mark.skip("not on a given stack"))


def _on_given(item: pytest.Item) -> bool:
    given = getattr(getattr(item, "callspec", None), "params", {}).get("stack", "")
    return "stack" in getattr(item, "fixturenames", ()) and given != "distributed"


@pytest.fixture(scope="session", params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack that tests share; it must end cleanly after all that they did to it."""
    yield from _running(request, tmp_path_factory.mktemp(f"shared-{request.param}"))


@pytest.fixture(params=KINDS)
def own_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A running stack of the test's own, to kill and to restart."""
    if STACK_URL:
        pytest.skip("breaks or looks into processes: not on a given stack")
    yield from _running(request, tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """A test that wants to look inside a given stack is left out."""
    try:
        return (yield)
    except NotToBeSeen as error:
        pytest.skip(f"{error} of a given stack cannot be seen")


@pytest.fixture
async def account(stack: Stack) -> Account:
    """Somebody new on the shared stack."""
    return await new_account(stack.auth_url)


def _running(request: pytest.FixtureRequest, directory: Path) -> Iterator[Stack]:
    if STACK_URL:
        yield GivenStack(directory, STACK_URL)
        return
    if request.param == "embedded":
        yield from cared_for(EmbeddedStack(directory))
        return
    new_database: Fresh = request.getfixturevalue("new_database")
    new_vhost: Fresh = request.getfixturevalue("new_vhost")
    with new_database() as postgresql_url, new_vhost() as amqp_url:
        yield from cared_for(DistributedStack(directory, postgresql_url=postgresql_url, amqp_url=amqp_url))


def cared_for(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start_now()
        yield stack
        stack.stop_now()
    finally:
        stack.close()
