"""The page in a real Chromium, on the embedded system. Needs the built page (`web/dist`) and Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.host import HostPage
from tests.browser.model import Model
from tests.browser.visitor import Visitor, visiting
from tests.e2e.conftest import cared_for
from tests.support.stack import ROOT, EmbeddedStack, Stack

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

[[chatbots]]
id = "model"
name = "Model"
description = "Does as it is told."
kind = "openai"
options = {{base_url = "{url}", model = "test"}}
limits = {{first_token = 60, between_tokens = 60, total = 120, attempts = 2}}
"""

TIMEOUT = 240  # seconds; the first test of a process waits for servers, a stack and a browser

Visit = Callable[..., Visitor]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known where the browser's tests alone are run."""
    parser.addoption("--screenshots", help="directory for the pictures that test_screenshots takes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser, on real processes."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def dist() -> Path:
    """The built page."""
    if not (DIST / "index.html").is_file():
        pytest.fail("the page is not built: cd web && npm ci --ignore-scripts && npm run build", pytrace=False)
    return DIST


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a process; each visitor gets a profile of their own."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.fail("there is no Chromium (Debian: apt-get install chromium)", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, chromium_sandbox=False, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The language model behind the chatbot `model`."""
    with Model() as model:
        yield model


@pytest.fixture(scope="session")
def host_page() -> Iterator[HostPage]:
    """Somebody else's site, which shows the widget."""
    with HostPage() as host:
        yield host


@pytest.fixture(scope="session")
def settings(model: Model, host_page: HostPage, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a stack for these tests."""
    catalogue = tmp_path_factory.mktemp("catalogue") / "chatbots.toml"
    catalogue.write_text(CATALOGUE.format(url=model.url))
    return {
        "CHATBOTS": str(catalogue),
        "PAGE_DIR": str(dist),
        "FRAME_ANCESTORS": host_page.origin,
        "GUESTS": "on",
        "LIMITS": "off",
    }


@pytest.fixture(scope="session")
def stack(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system that tests share."""
    yield from cared_for(EmbeddedStack(tmp_path_factory.mktemp("embedded"), settings))


@pytest.fixture
def own_stack(settings: dict[str, str], tmp_path: Path) -> Iterator[EmbeddedStack]:
    """A running system of the test's own, to kill and to start again."""
    embedded = EmbeddedStack(tmp_path, settings)
    try:
        embedded.start_now()
        yield embedded
    finally:
        embedded.close()


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Visit]:
    """Somebody new at a browser; options are those of a browser profile."""
    with ExitStack() as visitors:

        def visit(**options: Any) -> Visitor:
            return visitors.enter_context(visiting(browser, stack.auth_url, **options))

        yield visit


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures go."""
    asked = request.config.getoption("--screenshots", None)
    return Path(str(asked)).absolute() if asked else tmp_path
