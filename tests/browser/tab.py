"""A tab of a browser driven by WebDriver: finds elements by CSS selector, clicks, types and waits."""

from __future__ import annotations

from typing import Any

from tests.browser.webdriver import ELEMENT, CommandFailed, WebDriver
from tests.support.waiting import wait_until

PATIENCE = 30.0  # seconds for what takes 0.1 on an idle machine
ENTER = "\ue007"  # WebDriver's code of the key
TEXTS = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"


class Tab:
    """A tab for the site at `url`."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self._driver = driver
        self.url = url

    def open(self, path: str = "/chat/") -> None:
        self._driver.command("Navigate", url=self.url + path)

    def clear(self) -> None:
        """Delete the site's storage and cookies, and leave the site."""
        self.run("localStorage.clear(); sessionStorage.clear()")
        self._driver.command("DeleteAllCookies")
        self._driver.command("Navigate", url="about:blank")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a JavaScript function with these `arguments`, and return its result."""
        return self._driver.command("ExecuteScript", script=script, args=list(arguments))

    def value(self, css: str) -> Any:
        """The value of the first form control."""
        return self.run("return document.querySelector(arguments[0])?.value", css)

    def expect(self, css: str, text: str = "") -> None:
        """Wait until one of the elements contains the text."""

        def is_there() -> bool:
            texts = self.run(TEXTS, css)
            assert any(text in each for each in texts), f"{css}: {texts}; page: {self.run(TEXTS, 'body')}"
            return True

        wait_until(is_there, PATIENCE, every=0.05)

    def click(self, css: str) -> None:
        """Click the first element once it can be clicked."""
        self._do("ElementClick", css)

    def type(self, css: str, text: str) -> None:
        """Type at the end of the first element once it accepts keys."""
        self._do("ElementSendKeys", css, text=text)

    def press(self, key: str) -> None:
        """Press and release a key where the focus is."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._driver.command("PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def wheel(self, css: str, pixels: int) -> None:
        """Turn the wheel over the first element; negative numbers of pixels scroll upwards.

        Raises:
            CommandFailed: the driver has no wheel.
        """
        x, y = self.run(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]",
            css,
        )
        turn = {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": pixels, "duration": 0, "origin": "viewport"}
        self._driver.command("PerformActions", actions=[{"type": "wheel", "id": "wheel", "actions": [turn]}])

    def _do(self, command: str, css: str, **parameters: Any) -> None:
        def is_done() -> bool:
            found = self._driver.command("FindElements", using="css selector", value=css)
            assert found, f"no {css}; page: {self.run(TEXTS, 'body')}"
            try:
                self._driver.command(command, id=found[0][ELEMENT], **parameters)
            except CommandFailed as error:  # it was replaced, is covered, or is not visible
                raise AssertionError(str(error)) from error
            return True

        wait_until(is_done, PATIENCE, every=0.05)
