"""What a program is told."""

from __future__ import annotations

from dataclasses import dataclass

from backchat_client.wire import Payload


@dataclass(frozen=True, slots=True)
class Notice:
    """Something for the program. `name`:

    - `message`, `message_updated` (a Message): new to the client, live or caught up on; each once, ascending by
      `updated_seq` (its place in the history is `seq`: one that was edited while the client was away comes late).
    - `reply` `{session_id, message_id, chatbot_id, attempt, text}`: the whole text so far of a reply under way.
    - `session_updated` (a Session).
    - `loaded` `{session_id, messages}`: a session's newest page after `open`, or a page of older history.
    - `started` `{client_request_id, session_id}`, `closed` `{session_id, code}`: a session is held, or no longer.
    - `accepted` `{session_id, client_message_id, message_id}`, `failed` `{…, code}`: what became of a message
      (`failed` `{client_request_id, code}`: of a `start_chat`).
    - `connected`, `disconnected` `{}`, `stopped` `{code}`: the connection; after `stopped` it stays away.
    - every other server event, as it came.
    """

    name: str
    payload: Payload
