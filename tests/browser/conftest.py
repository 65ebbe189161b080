"""Tests of the page in Chromium, on the embedded system. They need the built page (`web/dist`) and Chromium.

With `BACKCHAT_TEST_STACK_URL` they run on the stack at that address, with the page that it serves. If it is the
composed stack of the project `COMPOSE_PROJECT_NAME`, it gets the settings of these tests while they run, and its
containers are killed. Any other stack (without rate limits) is not changed, and tests that need changes are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from chatbot_worker.catalogue.built_in import BUILT_IN_AT
from tests.browser.engines import ENGINES, started
from tests.browser.host import HostPage
from tests.browser.model import LOOPBACK, Model
from tests.browser.served import File, served
from tests.browser.visitor import Visitor, visiting
from tests.browser.webdriver import WebDriver
from tests.compose.conftest import PROJECT
from tests.conftest import STACK_URL
from tests.support.children import NotInstalled
from tests.support.compose import ComposedStack, Composition
from tests.support.given_stack import GivenStack
from tests.support.stack import ROOT, EmbeddedStack, Stack, running_stack

COMPOSED = bool(STACK_URL and PROJECT)
LEFT_ALONE = bool(STACK_URL and not PROJECT)
HERE = Path(__file__).parent
DIST = ROOT / "web" / "dist"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
]
CATALOGUE = """
[[chatbots]]
id = "echo"
name = "Echo"
description = "Says what you said, word by word."
kind = "echo"
default = true

[[chatbots]]
id = "eliza"
name = "Eliza"
description = "A patient listener: conversation in the manner of 1966."
kind = "eliza"
avatar = "/chat/icon.svg"
suggestions = ["I feel tired", "My mother calls every day", "أشعر بالتعب"]

[[chatbots]]
id = "model"
name = "Model"
description = "Follows the test's script."
avatar = "http://127.0.0.1/insecure.png"
kind = "openai"
options = {{base_url = "{url}", model = "test"}}
limits = {{first_token = 60, between_tokens = 60, total = 120, attempts = 2}}
"""

TIMEOUT = 240  # seconds; the first test of a process waits for servers, a stack and a browser

Visit = Callable[..., Visitor]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option; it exists only when pytest is given this directory."""
    parser.addoption("--screenshots", help="directory for the pictures that test_screenshots takes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory: it drives a browser, on real processes."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(TIMEOUT))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements of the budget tests."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for what, figure in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                terminalreporter.write_line(f"{what}: {figure}")


@pytest.fixture(scope="session")
def dist() -> Path:
    """The directory of the built page."""
    if not (DIST / "index.html").is_file():
        pytest.fail("the page is not built: cd web && npm ci --ignore-scripts && npm run build", pytrace=False)
    return DIST


@pytest.fixture(scope="session")
def page_files(request: pytest.FixtureRequest, stack: Stack) -> dict[str, File]:
    """The files of the page as the stack serves them, by their path below `/chat/`."""
    found = served(f"{stack.auth_url}/chat/")
    if not STACK_URL:
        dist: Path = request.getfixturevalue("dist")
        built = {path.relative_to(dist).as_posix() for path in dist.rglob("*") if path.is_file()}
        assert set(found) == {name for name in built if not name.endswith((".br", ".gz"))}, "there are others"
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a process; each visitor has a separate profile."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.fail("there is no Chromium (Debian: apt-get install chromium)", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, chromium_sandbox=False, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[WebDriver]:
    """Chromium, Firefox and WebKitGTK in turn, for tests of what differs between browsers."""
    try:
        with started(request.param) as driver:
            yield driver
    except NotInstalled as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def language_model() -> Iterator[Model]:
    """The language model behind the chatbot `model`."""
    with Model("host.docker.internal" if COMPOSED else LOOPBACK) as model:
        yield model


@pytest.fixture
def model(language_model: Model) -> Iterator[Model]:
    """The language model, reset after each test."""
    if LEFT_ALONE:
        pytest.skip("needs a chatbot of its own: not on a given stack")
    yield language_model
    language_model.reset()


@pytest.fixture(scope="session")
def host_page() -> Iterator[HostPage]:
    """A site of another origin, with the widget."""
    with HostPage() as host:
        yield host


@pytest.fixture
def own_settings() -> None:
    """Skip a test that depends on the settings below if they cannot be set."""
    if LEFT_ALONE:
        pytest.skip("needs settings of its own: not on a given stack")


@pytest.fixture(scope="session")
def settings(
    request: pytest.FixtureRequest,
    language_model: Model,
    host_page: HostPage,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Settings of the stack of these tests."""
    catalogue = tmp_path_factory.mktemp("catalogue") / "chatbots.toml"
    catalogue.write_text(CATALOGUE.format(url=language_model.url))
    ours = {"FRAME_ANCESTORS": host_page.origin, "GUESTS": "on", "LIMITS": "off"}
    if not COMPOSED:
        return {**ours, "CHATBOTS": str(catalogue), "PAGE_DIR": str(request.getfixturevalue("dist"))}
    catalogue.parent.chmod(0o755)  # readable by the user of a container
    just_after = BUILT_IN_AT.timestamp() + 1  # the newest list is used; those of tests/compose are written later
    os.utime(catalogue, (just_after, just_after))
    return {**ours, "CHATBOTS": catalogue.name, "CHATBOTS_DIR": str(catalogue.parent)}


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running system that the tests share."""
    if COMPOSED:
        assert STACK_URL
        assert PROJECT
        if hasattr(request.config, "workerinput"):
            pytest.fail("the composed stack has the settings of one process of tests: run them without -n", False)
        composed = ComposedStack(tmp_path_factory.mktemp("composed"), STACK_URL, Composition(PROJECT))
        with composed.changed(request.getfixturevalue("settings")):
            composed.wait_for_chatbot("model")
            yield composed
    elif STACK_URL:
        yield GivenStack(tmp_path_factory.mktemp("given"), STACK_URL)
    else:
        settings = request.getfixturevalue("settings")
        with running_stack(EmbeddedStack(tmp_path_factory.mktemp("embedded"), settings)) as embedded:
            yield embedded


@pytest.fixture
def own_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A separate running system, which a test may kill and restart."""
    if LEFT_ALONE:
        pytest.skip("breaks processes: not on a given stack")
    if COMPOSED:
        shared: ComposedStack = request.getfixturevalue("stack")
        yield shared
        shared.start_now()
        return
    embedded = EmbeddedStack(tmp_path, request.getfixturevalue("settings"))
    try:
        embedded.start_now()
        yield embedded
    finally:
        embedded.close()


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Visit]:
    """Open a browser profile for a new visitor; options are those of a Playwright context."""
    with ExitStack() as visitors:

        def visit(**options: Any) -> Visitor:
            return visitors.enter_context(visiting(browser, stack.auth_url, **options))

        yield visit


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory for screenshots."""
    asked = request.config.getoption("--screenshots", None)
    return Path(str(asked)).absolute() if asked else tmp_path
