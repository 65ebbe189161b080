"""chat_gateway: the Socket.IO service. It authenticates sockets, handles client events, and sends stored changes.

Consumes: the queue `delivery.<name>` of this gateway (stored messages, session changes, deltas, typing, rejections).
Publishes: commands to `chat.log.<P>`, queries to `chat.queries`, stops to `chat.control`, and to all gateways on
`chat.delivery` what is not stored (typing, presence, budgets of busy users).
Requests: public keys and revoked logins from auth, over HTTP.
Owns: no durable state; only bounded state of connected sockets.
Never: accesses a database, holds a signing key, or sends a change that is not stored (except deltas of replies).

Layers: `app` wires `gateway` and `http` | `deliveries` > `events` > `sessions` > `sockets` > `identity` | `transport`
> `domain` | `protocol`.
"""
