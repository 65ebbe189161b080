"""All four services in one process, on SQLite and the in-process bus: one command, one port, one directory.

Owns: the data directory (`auth.db`, `chat.db`, `bus.db`, `keys/`, the lock that refuses a second start).
Consumes and publishes: nothing itself. Never: has rules of its own; what a chat does is the services' business.
"""
