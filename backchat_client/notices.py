"""What the client reports to the program."""

from __future__ import annotations

from dataclasses import dataclass

from backchat_client.wire import Payload


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice for the program, by `name`:

    - `message`, `message_updated` (a Message): new or changed, received live or by catching up; each once, ascending by
      `updated_seq`. A message edited while the client was away therefore arrives later than its place in the history
      (`seq`).
    - `reply` `{session_id, message_id, chatbot_id, attempt, text}`: an active reply, with its whole text so far.
    - `session_updated` (a Session).
    - `loaded` `{session_id, messages}`: the newest page of a session after `open`, or an older page.
    - `started` `{client_request_id, session_id}`, `closed` `{session_id, code}`: a session was opened or closed.
    - `accepted` `{session_id, client_message_id, message_id}`, `failed` `{…, code}`: the outcome of a message (`failed`
      `{client_request_id, code}`: of a `start_chat`).
    - `connected`, `disconnected` `{}`, `stopped` `{code}`: the connection. After `stopped` the client does not
      reconnect.
    - every other server event, unchanged.
    """

    name: str
    payload: Payload
