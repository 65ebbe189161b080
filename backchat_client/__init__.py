"""The Python client kit: delivers every message exactly once, so that programs need not implement the protocol.

Give it an address and an account. It connects, reconnects after every failure, catches up from its cursor, resends
unacknowledged messages under the same ids, and reports each message once and in order.

`state` is pure (no I/O, tested by the golden scenarios). `transport` does the I/O: accounts over HTTP, Socket.IO.
`store` keeps the outbox on disk. `client` joins them.
The package imports no service and nothing of `shared`; it depends only on the public contract.
"""

from backchat_client.client import BackchatClient
from backchat_client.errors import BackchatClientError, Closed, Lagging, NotSignedIn, Refused, Rejected, Unknown
from backchat_client.notices import Notice
from backchat_client.sending import Sending
from backchat_client.state.outbox import Outgoing
from backchat_client.state.session import SessionState
from backchat_client.store import MemoryStore, SQLiteStore, Store
from backchat_client.transport.accounts import Accounts, Login, TokenSource
from backchat_client.wire import Message, Session

__all__ = [
    "Accounts",
    "BackchatClient",
    "BackchatClientError",
    "Closed",
    "Lagging",
    "Login",
    "MemoryStore",
    "Message",
    "NotSignedIn",
    "Notice",
    "Outgoing",
    "Refused",
    "Rejected",
    "SQLiteStore",
    "Sending",
    "Session",
    "SessionState",
    "Store",
    "TokenSource",
    "Unknown",
]
