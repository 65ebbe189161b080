"""Figures that a run is to reach; `record_property("figure", str(figure))` has one printed at the end of the tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and what was wanted."""

    name: str
    measured: str
    aim: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached' if self.reached else 'MISSED '} | {self.name}: {self.measured} | aim: {self.aim}"
