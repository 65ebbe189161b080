"""A plan depends on its seed only, and contains every kind of fault."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.chaos.faults import GAP, PROFILES, chosen, plan


@pytest.mark.parametrize("profile", PROFILES)
def test_plan_contains_every_kind_once_per_round(profile: str) -> None:
    kinds = chosen(profile, "")
    faults = [fault.kind for fault in islice(plan(7, kinds), 3 * len(kinds))]
    for start in range(0, len(faults), len(kinds)):
        assert set(faults[start : start + len(kinds)]) == set(kinds)
    assert faults[: len(kinds)] != faults[len(kinds) : 2 * len(kinds)], "each round has another order"


def test_same_seed_gives_same_plan() -> None:
    kinds = chosen("single", "")
    assert list(islice(plan(7, kinds), 100)) == list(islice(plan(7, kinds), 100))
    assert list(islice(plan(7, kinds), 100)) != list(islice(plan(8, kinds), 100))


def test_gaps_and_durations_are_within_their_ranges() -> None:
    for fault in islice(plan(7, chosen("cluster", "")), 500):
        assert GAP[0] <= fault.gap <= GAP[1]
        assert fault.kind.lasts[0] <= fault.lasts <= fault.kind.lasts[1]


def test_kinds_are_selected_by_words() -> None:
    names = {kind.name for kind in chosen("single", "kill gateway, pause")}
    assert names == {"kill gateway"} | {f"pause {part}" for part in ("gateway", "persistence", "chatbot", "auth")} | {
        "pause broker",
        "pause database",
    }
    with pytest.raises(ValueError, match="kill gateway"):
        chosen("single", "nothing like this")


def test_cluster_profile_breaks_single_nodes_only() -> None:
    names = {kind.name for kind in chosen("cluster", "")}
    assert {"kill leader node", "pause leader node", "restart broker node"} <= names
    assert not {"kill broker", "pause broker", "restart broker"} & names
