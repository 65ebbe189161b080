"""Engine.IO and Socket.IO on the wire: connections, packets, frames, and their bounds.

Holds: the Engine.IO server and its connections (a subclass of python-engineio), the packet codec, the outbound queue of
a client, the WebSocket writer, and the probe that shows whether a client reads.
Knows nothing of users, sessions or events. `tests/unit/chat_gateway/transport/test_private_parts.py` pins the private
parts of python-engineio, python-socketio and uvicorn that it uses.
"""
