"""Authenticated sockets on top of the transport.

Holds: the Socket.IO server, admission (bounds on connections and unauthenticated handshakes, by address), the socket
itself, and its lanes, which keep the events of one session in order.
Calls the gateway through the `SocketCallbacks` protocol.
"""
