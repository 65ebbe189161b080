"""Client events that read stored data, and that join or leave a session."""

from __future__ import annotations

from collections.abc import Mapping

from chat_gateway.events.calls import Call, Handler
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.persistence_client import PersistenceClient
from shared.contracts.queries import (
    ListChatbots,
    ListSessions,
    ReadHistory,
    ReadMessage,
    ReadSession,
    SearchMessages,
)


class QueryEvents:
    """Handlers of reads, joins and leaves."""

    def __init__(self, persistence: PersistenceClient, sessions: Sessions) -> None:
        self._persistence = persistence
        self._sessions = sessions

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `EventHandlers`."""
        return {
            payloads.JoinChat: self._join_chat,
            payloads.LeaveChat: self._leave_chat,
            payloads.GetMessages: self._get_messages,
            payloads.ListChats: self._list_chats,
            payloads.ListChatbots: self._list_chatbots,
            payloads.SearchMessages: self._search_messages,
            payloads.GetSession: self._get_session,
            payloads.GetMessage: self._get_message,
        }

    async def _join_chat(self, call: Call, request: payloads.JoinChat) -> None:
        await self._sessions.join(call.caller, request, call.accept)

    async def _leave_chat(self, call: Call, request: payloads.LeaveChat) -> None:
        """Leave a session that the socket has not joined: do nothing, or refuse `not_found` for a foreign session."""
        identity = call.caller.identity
        await self._sessions.load_for(request.session_id, identity, call.remaining, also_if=identity.observes)
        call.accept({})

    async def _get_session(self, call: Call, request: payloads.GetSession) -> None:
        caller = call.caller
        query = ReadSession(user_id=caller.user_id, session_id=request.session_id, scopes=caller.identity.scope_names)
        call.accept({"session": (await self._persistence.query(query))["session"]})

    async def _get_message(self, call: Call, request: payloads.GetMessage) -> None:
        query = ReadMessage(
            user_id=call.caller.user_id,
            session_id=request.session_id,
            message_id=request.message_id,
            scopes=call.caller.identity.scope_names,
        )
        call.accept({"message": (await self._persistence.query(query))["message"]})

    async def _get_messages(self, call: Call, request: payloads.GetMessages) -> None:
        found = await self._persistence.query(
            ReadHistory(
                user_id=call.caller.user_id,
                session_id=request.session_id,
                before_seq=request.before_seq,
                after_seq=request.after_seq,
                limit=request.limit,
                scopes=call.caller.identity.scope_names,
            )
        )
        call.accept({"messages": found["messages"], "has_more": found["has_more"]})

    async def _list_chats(self, call: Call, request: payloads.ListChats) -> None:
        found = await self._persistence.query(
            ListSessions(
                user_id=call.caller.user_id,
                cursor=request.cursor,
                limit=request.limit,
                scopes=call.caller.identity.scope_names,
            )
        )
        call.accept({"sessions": found["sessions"], "next_cursor": found["next_cursor"]})

    async def _list_chatbots(self, call: Call, _request: payloads.ListChatbots) -> None:
        found = await self._persistence.query(ListChatbots())
        call.accept({"chatbots": found["chatbots"]})

    async def _search_messages(self, call: Call, request: payloads.SearchMessages) -> None:
        """Search. A foreign session is refused `not_found`, instead of an empty result."""
        if request.session_id is not None:
            await self._sessions.load_for(request.session_id, call.caller.identity, call.remaining)
        found = await self._persistence.query(
            SearchMessages(
                user_id=call.caller.user_id,
                query=request.query,
                session_id=request.session_id,
                cursor=request.cursor,
                limit=request.limit,
                scopes=call.caller.identity.scope_names,
            )
        )
        call.accept({"hits": found["hits"], "next_cursor": found["next_cursor"]})
