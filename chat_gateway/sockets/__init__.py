"""Authenticated sockets on top of the transport.

Holds: the Socket.IO server, admission (bounds on connections and unauthenticated handshakes, by address), the socket
itself, its lanes, which keep the events of one session in order, and the protocols that it shares with requests and
streams: recipients of events, and callers of client events.
Calls the gateway through the `SocketCallbacks` protocol.
"""
