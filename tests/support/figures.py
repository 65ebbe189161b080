"""Measured figures with a target. `record_property("figure", str(figure))` prints one at the end of the tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement and its target; `reached` is None if it could not be measured."""

    name: str
    measured: str
    aim: str
    reached: bool | None

    def __str__(self) -> str:
        said = {True: "reached", False: "MISSED ", None: "unknown"}[self.reached]
        return f"{said} | {self.name}: {self.measured} | aim: {self.aim}"
