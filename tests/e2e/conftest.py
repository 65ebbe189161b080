"""The suite runs on both stacks: `stack` is shared by a session's tests, `own_stack` belongs to one test.

With `BACKCHAT_TEST_STACK_URL` it runs on the stack at that address instead. If that is the composed stack of the project
`COMPOSE_PROJECT_NAME`, its keys and logs are read, and in a run of one process (without `-n`) its containers are broken
and have chatbots of the tests; of any other, nothing but its address is used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from chatbot_worker.catalogue.built_in import BUILT_IN_AT
from tests.compose.conftest import PROJECT
from tests.conftest import STACK_URL, Fresh
from tests.e2e.containers import OwnComposedStack
from tests.support.client import Account, new_account
from tests.support.compose import Composition
from tests.support.stack import DistributedStack, EmbeddedStack, GivenStack, NotToBeSeen, Stack

HERE = Path(__file__).parent
CHATBOTS = HERE / "chatbots.toml"
COMPOSED = bool(STACK_URL and PROJECT)
DISTRIBUTED = pytest.param("distributed", marks=[pytest.mark.postgresql, pytest.mark.rabbitmq])
KINDS = [pytest.param("given")] if STACK_URL else [pytest.param("embedded"), DISTRIBUTED]
OWN_KINDS = [pytest.param("composed")] if COMPOSED else KINDS  # of a stack that a test may break
SEVERAL = OWN_KINDS[-1]  # one with two gateways
MADE_HERE = {"embedded", "distributed"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is end to end; with a given stack, what starts one of its own says nothing about that one."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            if STACK_URL and (reason := _left_out(item, alone=not hasattr(config, "workerinput"))):
                item.add_marker(pytest.mark.skip(reason))


def _left_out(item: pytest.Item, *, alone: bool) -> str | None:
    """Why a test is not run on the given stack."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    kind = next((parameters[name] for name in ("stack", "own_stack", "slow_stack") if name in parameters), None)
    if kind is None or kind in MADE_HERE:
        return "starts processes of its own: says nothing of a given stack"
    if kind == "composed" and not alone:
        return "breaks the stack: run it alone (-k composed, without -n)"
    if kind == "given" and "stack" not in parameters:
        return "breaks the stack: on a composed one alone (COMPOSE_PROJECT_NAME)"
    return None


@pytest.fixture(scope="session", params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack that tests share; it must end cleanly after all that they did to it."""
    yield from running(request, tmp_path_factory.mktemp(f"shared-{request.param}"))


@pytest.fixture(params=OWN_KINDS)
def own_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A running stack of the test's own, to kill and to restart."""
    yield from running(request, tmp_path)


@pytest.fixture(params=OWN_KINDS)
def slow_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """The same with the chatbots of `chatbots.toml`, some of which take their time."""
    yield from running(request, tmp_path, CHATBOTS)


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


def running(request: pytest.FixtureRequest, directory: Path, chatbots: Path | None = None) -> Iterator[Stack]:
    """A stack of the kind that the fixture is asked for, with the built-in chatbots or those of a file."""
    if request.param == "composed":
        if chatbots:
            request.getfixturevalue("composed_chatbots")
        yield from _mended(_composed(directory))
        return
    if request.param == "given":
        if chatbots:
            pytest.skip("needs chatbots of its own: on a composed stack alone (COMPOSE_PROJECT_NAME)")
        yield _composed(directory) if COMPOSED else GivenStack(directory, STACK_URL or "")
        return
    settings = {"CHATBOTS": str(chatbots)} if chatbots else {}
    if request.param == "embedded":
        yield from cared_for(EmbeddedStack(directory, settings))
        return
    new_database: Fresh = request.getfixturevalue("new_database")
    new_vhost: Fresh = request.getfixturevalue("new_vhost")
    with new_database() as postgresql_url, new_vhost() as amqp_url:
        urls = {"postgresql_url": postgresql_url, "amqp_url": amqp_url}
        yield from cared_for(DistributedStack(directory, settings=settings, **urls))


@pytest.fixture(scope="session")
def composed_chatbots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The chatbots of `chatbots.toml` on the composed stack, from the first test that wants them to the last of all."""
    directory = tmp_path_factory.mktemp("chatbots")
    directory.chmod(0o755)  # a container's user reads it
    shutil.copy(CHATBOTS, directory)
    just_after = BUILT_IN_AT.timestamp() + 0.5  # the newest list wins, and those of later steps are newer
    os.utime(directory / CHATBOTS.name, (just_after, just_after))
    composed = _composed(directory)
    with composed.changed({"CHATBOTS": CHATBOTS.name, "CHATBOTS_DIR": str(directory)}):
        composed.wait_for_chatbot("endless")
        yield


def _composed(directory: Path) -> OwnComposedStack:
    assert STACK_URL
    assert PROJECT
    return OwnComposedStack(directory, STACK_URL, Composition(PROJECT))


def _mended(stack: Stack) -> Iterator[Stack]:
    """Whatever a test has broken runs again afterwards."""
    try:
        yield stack
    finally:
        stack.start_now()
        stack.close()


def cared_for(stack: Stack) -> Iterator[Stack]:
    """A stack of ours runs, and ends cleanly."""
    try:
        stack.start_now()
        yield stack
        stack.stop_now()
    finally:
        stack.close()
