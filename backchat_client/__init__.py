"""The Python client kit: correct delivery as a library, so that it is not every program's homework.

Give it an address and an account. It connects, comes back after every fault, closes every gap by the cursor, sends
again under the same ids until it knows, and shows each message once, in order.

Pure (no I/O, played by the golden scenarios): `session`, `replies`, `outbox`, `requests`, `core`, `backoff`.
With I/O: `store` (the outbox on disk), `accounts` (HTTP), `connection` (one Socket.IO connection), `client`.
Imports no service and nothing of `shared`: it knows the public contract alone.
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
