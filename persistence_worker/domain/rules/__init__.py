"""The rule of each command type, in one module for each subject.

A rule takes the unit of work, the command and its envelope. It returns the answer, or raises a `BackchatError` before
it changes anything. `RULES` of each module maps command types to rules.
"""
