"""Holds back or fails requests for parts of the page, in Chromium."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Route


class Part:
    """Files of the page, by name, whose requests are held back or fail until `release`."""

    def __init__(self, context: BrowserContext, names: str, *, is_failing: bool = False) -> None:
        self.pattern = re.compile(rf"/assets/({names})-[^/]*\.js$")
        self._is_failing = is_failing
        self._is_released = False
        self._held: list[Route] = []
        context.route(self.pattern, self._handle)

    def _handle(self, route: Route) -> None:
        if self._is_released:
            route.continue_()
        elif self._is_failing:
            route.abort()
        else:
            self._held.append(route)

    def release(self) -> None:
        """Let these and all later requests pass."""
        self._is_released = True
        for route in self._held:
            route.continue_()
        self._held.clear()
