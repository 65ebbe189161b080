"""The suite runs on the embedded and on the distributed stack; the tests of a process share one of each.

With `BACKCHAT_TEST_STACK_URL` it runs on the stack at that address instead. If that is the composed stack of the project
`COMPOSE_PROJECT_NAME`, its keys and logs are read, and a run of one process (without `-n`) also breaks its containers
and gives it the chatbots of the tests. Of any other stack, only the address is used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from chatbot_worker.catalogue.built_in import BUILT_IN_AT
from tests.compose.conftest import PROJECT
from tests.conftest import STACK_URL
from tests.e2e.containers import OwnComposedStack
from tests.e2e.stack_pool import MADE_HERE, StackPool
from tests.support.client import Account, new_account
from tests.support.compose import Composition
from tests.support.given_stack import GivenStack, HiddenFromTestsError
from tests.support.stack import Stack

HERE = Path(__file__).parent
CHATBOTS = HERE / "chatbots.toml"
COMPOSED = bool(STACK_URL and PROJECT)
DISTRIBUTED = pytest.param("distributed", marks=[pytest.mark.postgresql, pytest.mark.rabbitmq])
KINDS = [pytest.param("given")] if STACK_URL else [pytest.param("embedded"), DISTRIBUTED]
OWN_KINDS = [pytest.param("composed")] if COMPOSED else KINDS  # of a stack that a test may break
SEVERAL = OWN_KINDS[-1]  # the kind with two gateways
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all tests as end to end, and skip those that do not apply to a given stack."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            if STACK_URL and (reason := _skip_reason(item, alone=not hasattr(config, "workerinput"))):
                item.add_marker(pytest.mark.skip(reason))


def _skip_reason(item: pytest.Item, *, alone: bool) -> str | None:
    """Return why a test does not run on the given stack."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    kind = next((parameters[name] for name in ("stack", "own_stack", "slow_stack") if name in parameters), None)
    if kind is None or kind in MADE_HERE:
        return "starts its own processes, so it does not test the given stack"
    if kind == "composed" and not alone:
        return "breaks the stack: run it in one process (-k composed, without -n)"
    if kind == "given" and "stack" not in parameters:
        return "breaks the stack: only for a composed stack, in one process (COMPOSE_PROJECT_NAME)"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note failures: processes of a stack that a failed test has used are restarted."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Skip a test that inspects processes of a given stack."""
    try:
        return (yield)
    except HiddenFromTestsError as error:
        pytest.skip(f"{error} of a given stack is hidden")


@pytest.fixture(scope="package")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackPool]:
    """Stacks of this process; each must stop cleanly after all tests."""
    pool = StackPool(tmp_path_factory.mktemp("stacks"))
    yield pool
    pool.close()


@pytest.fixture(scope="module", params=KINDS)
def stack(request: pytest.FixtureRequest, stacks: StackPool, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack with the built-in chatbots, for tests that do not break it."""
    if request.param in MADE_HERE:
        return stacks.get(request, request.param)
    directory = tmp_path_factory.mktemp("given")
    return _composed(directory) if COMPOSED else GivenStack(directory, STACK_URL or "")


@pytest.fixture(params=OWN_KINDS)
def own_stack(request: pytest.FixtureRequest, stacks: StackPool, tmp_path: Path) -> Iterator[Stack]:
    """A running stack that the test may break; what it has ended is restarted afterwards."""
    yield from _breakable(request, stacks, tmp_path)


@pytest.fixture(params=OWN_KINDS)
def slow_stack(request: pytest.FixtureRequest, stacks: StackPool, tmp_path: Path) -> Iterator[Stack]:
    """The same as `own_stack`, with the chatbots of `chatbots.toml`, some of which reply slowly."""
    yield from _breakable(request, stacks, tmp_path, CHATBOTS)


@pytest.fixture
async def account(stack: Stack) -> Account:
    """A new account on the shared stack."""
    return await new_account(stack.auth_url)


def _breakable(
    request: pytest.FixtureRequest, stacks: StackPool, directory: Path, chatbots: Path | None = None
) -> Iterator[Stack]:
    made_here = request.param in MADE_HERE
    stack = choose(request, stacks, directory, chatbots)
    try:
        yield stack
    finally:
        if made_here and request.node.stash.get(FAILED, False):
            stack.crash()
        stack.start_now()
        if not made_here:
            stack.close()


def choose(request: pytest.FixtureRequest, stacks: StackPool, directory: Path, chatbots: Path | None = None) -> Stack:
    """Return a running stack of the kind `request.param`, with the built-in chatbots or those of a file."""
    if request.param in MADE_HERE:
        return stacks.get(request, request.param, chatbots)
    if request.param == "given":
        pytest.skip("only for a composed stack, in one process (COMPOSE_PROJECT_NAME)")
    if chatbots:
        request.getfixturevalue("composed_chatbots")
    return _composed(directory)


@pytest.fixture(scope="session")
def composed_chatbots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The chatbots of `chatbots.toml` on the composed stack, until the end of the session."""
    directory = tmp_path_factory.mktemp("chatbots")
    directory.chmod(0o755)  # the user of a container reads it
    shutil.copy(CHATBOTS, directory)
    just_after = BUILT_IN_AT.timestamp() + 0.5  # the newest list is used, and those of later steps are newer
    os.utime(directory / CHATBOTS.name, (just_after, just_after))
    composed = _composed(directory)
    with composed.changed({"CHATBOTS": CHATBOTS.name, "CHATBOTS_DIR": str(directory)}):
        composed.wait_for_chatbot("endless")
        yield


def _composed(directory: Path) -> OwnComposedStack:
    assert STACK_URL
    assert PROJECT
    return OwnComposedStack(directory, STACK_URL, Composition(PROJECT))
