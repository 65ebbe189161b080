"""Rules of the gateway. Pure: no I/O, no clock of their own; what they decide is theirs alone.

Holds: the cursor that releases each stored change once and in order, the text of replies under way, rate limits, the
format of invites, and the comparison of origins.
Imports: `shared.contracts` and `shared.errors` at most.
"""
