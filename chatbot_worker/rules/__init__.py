"""Rules of replies and turns: limits, attempt numbers, the context window, the text of a reply, the circuit breaker.

Pure: no I/O, no access to the clock, no import of another sub-package.
"""
