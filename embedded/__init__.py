"""All four services in one process, on SQLite and the in-process bus: one command, one port, one directory.

Owns: the data directory (`auth.db`, `chat.db`, `bus.db`, `keys/`, and a lock file against a second process).
Consumes and publishes: nothing itself. Never: contains rules; the services decide.
"""
