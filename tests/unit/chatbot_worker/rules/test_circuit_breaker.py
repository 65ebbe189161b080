"""The circuit: opens, probes, closes."""

from __future__ import annotations

import pytest

from chatbot_worker.rules.circuit_breaker import PAUSE_MAX, CircuitBreaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def broken(circuit: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert circuit.admits()
        circuit.failed()


def test_it_opens_after_failures_in_a_row(clock: Clock) -> None:
    """A success in between, and an undecided try, keep it closed."""
    circuit = CircuitBreaker(3, 10.0, clock)
    broken(circuit, 2)
    circuit.succeeded()
    broken(circuit, 2)
    circuit.undecided()
    assert circuit.admits()
    circuit.failed()
    assert circuit.open
    assert not circuit.admits()


def test_one_probe_at_a_time(clock: Clock) -> None:
    """Probes start after the pause; an undecided one is followed by another; one that succeeds closes the circuit."""
    circuit = CircuitBreaker(1, 10.0, clock)
    broken(circuit, 1)
    clock.now += 9.9
    assert not circuit.admits()
    clock.now += 0.2
    assert [circuit.admits(), circuit.admits()] == [True, False]
    circuit.undecided()
    assert [circuit.admits(), circuit.admits()] == [True, False]
    circuit.succeeded()
    assert not circuit.open
    assert [circuit.admits(), circuit.admits()] == [True, True]


def test_each_probe_that_fails_doubles_the_pause(clock: Clock) -> None:
    """Up to a bound; what was under way when it opened changes nothing."""
    circuit = CircuitBreaker(2, 10.0, clock)
    for _ in range(4):
        assert circuit.admits()
    for _ in range(4):  # all at once: opened by the second, once
        circuit.failed()
    pauses = []
    for _ in range(6):
        before = clock.now
        while not circuit.admits():
            clock.now += 1.0
        pauses.append(clock.now - before)
        circuit.failed()
    assert pauses == [10.0, 20.0, 40.0, 80.0, PAUSE_MAX, PAUSE_MAX]


def test_success_resets_the_pause(clock: Clock) -> None:
    """The next trouble is met with the first pause."""
    circuit = CircuitBreaker(1, 10.0, clock)
    broken(circuit, 1)
    clock.now += 10
    broken(circuit, 1)
    clock.now += 20
    assert circuit.admits()
    circuit.succeeded()
    broken(circuit, 1)
    clock.now += 10
    assert circuit.admits()
