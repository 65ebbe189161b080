"""Starts Chromium, Firefox and WebKitGTK, for tests of what differs between browsers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.browser.webdriver import HttpDriver, Marionette, WebDriver
from tests.support.children import PLAIN_ENVIRONMENT, Child, Home, NotInstalled, answers
from tests.support.ports import free_port

ENGINES = ("chromium", "firefox", "webkit")
START_TIMEOUT = 60.0  # seconds; Firefox creates a new profile, which takes 10 on a busy machine
CHROMIUM_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
XVFB_ARGUMENTS = ("-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp")


@contextmanager
def started(engine: str) -> Iterator[WebDriver]:
    """Start the browser of that name in `ENGINES`; all its processes end with the block.

    Raises:
        NotInstalled: the browser or its driver is not on this machine.
    """
    with ExitStack() as cleanup:
        launcher = Launcher(cleanup, Home(engine))
        driver = {"chromium": launcher.chromium, "firefox": launcher.firefox, "webkit": launcher.webkit}[engine]()
        cleanup.callback(driver.close)
        yield driver


class Launcher:
    """Starts the processes of one browser in a home directory; `cleanup` ends them and removes it."""

    def __init__(self, cleanup: ExitStack, home: Home) -> None:
        self._cleanup = cleanup
        self._home = home
        self._environment = {**PLAIN_ENVIRONMENT, "HOME": str(home.path), "XDG_RUNTIME_DIR": str(home.path)}
        cleanup.callback(home.close)

    def chromium(self) -> WebDriver:
        return self._by_driver("chromedriver", {"goog:chromeOptions": {"args": list(CHROMIUM_ARGUMENTS)}})

    def firefox(self) -> WebDriver:
        port = free_port()
        profile = self._home.path / "profile"
        profile.mkdir()
        (profile / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
        child = self._start("firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(profile))
        child.wait_until(lambda: answers(port, b"", b""), timeout=START_TIMEOUT)
        return Marionette(port)

    def webkit(self) -> WebDriver:
        """MiniBrowser on a virtual screen, because it has no headless mode."""
        binary = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)
        if binary is None:
            raise NotInstalled("MiniBrowser of WebKitGTK is not installed: run tools/test-machine")
        self._environment["DISPLAY"] = self.screen()
        options = {"binary": str(binary), "args": ["--automation"]}
        return self._by_driver("WebKitWebDriver", {"webkitgtk:browserOptions": options})

    def screen(self) -> str:
        """Start a virtual screen, and return its display."""
        screen = self._start("Xvfb", *XVFB_ARGUMENTS)  # chooses a free display and prints its number

        def numbers() -> list[str]:
            # before it, Xvfb prints a warning for each display that is taken
            return re.findall(r"^(\d+)\n", screen.log.read_text(), re.MULTILINE)

        screen.wait_until(lambda: bool(numbers()), timeout=START_TIMEOUT)
        return f":{numbers()[0]}"

    def _by_driver(self, name: str, capabilities: dict[str, Any]) -> WebDriver:
        port = free_port()
        child = self._start(name, f"--port={port}")
        child.wait_until(lambda: answers(port, b"", b""), timeout=START_TIMEOUT)
        return HttpDriver(f"http://127.0.0.1:{port}", capabilities)

    def _start(self, name: str, *arguments: str) -> Child:
        executable = shutil.which(name)
        if executable is None:
            raise NotInstalled(f"{name} is not installed: run tools/test-machine")
        child = Child(self._home, name, [executable, *arguments], environment=self._environment)
        self._cleanup.callback(child.kill)
        return child
