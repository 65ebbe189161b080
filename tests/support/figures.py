"""Figures that a run is to reach; `record_property("figure", str(figure))` has one printed at the end of the tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and what was wanted; `reached` is `None` where it could not be measured."""

    name: str
    measured: str
    aim: str
    reached: bool | None

    def __str__(self) -> str:
        said = {True: "reached", False: "MISSED ", None: "unknown"}[self.reached]
        return f"{said} | {self.name}: {self.measured} | aim: {self.aim}"
