"""Rules of the gateway. Pure: no I/O, and no clock.

Holds: the cursor that releases each stored change once and in order, the text of unfinished replies, rate limits, the
format of invites, and the comparison of origins.
Imports: `shared.contracts` and `shared.errors` at most.
"""
