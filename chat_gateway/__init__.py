"""chat_gateway: the sockets. It lets clients in, takes their events, and shows them what is stored.

Consumes: its own `delivery.<name>` queue (stored messages, session changes, deltas, typing, rejections).
Publishes: commands into `chat.log.<P>`, questions to `chat.queries`, stops to `chat.control`, and to the other gateways
on `chat.delivery` what nobody stores (typing, who is there, what busy users spent).
Asks: auth, over HTTP, for its public keys and for the logins that are over.
Owns: nothing durable; only what connected sockets need just now, and all of it bounded.
Never: reaches a database, holds a signing key, or shows a client what is not stored (deltas apart).
"""
