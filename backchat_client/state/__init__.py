"""The client's state and the rules that change it. Pure: no I/O, no clock.

The golden scenarios in `tests/contract/client_scenarios` are played against `core.Core`.
"""
