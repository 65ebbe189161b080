"""Sessions and users in memory: who receives which changes.

Holds: the served sessions with their members and joined sockets, joining and leaving, catch-up reads after a gap,
presence, the bindings of the delivery queue, pending messages, the open sockets by user, and the client for requests to
persistence. All of it is bounded and can be lost.
"""
