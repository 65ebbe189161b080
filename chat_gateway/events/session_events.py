"""Client events that create a session, change it, delete it, or change its members and chatbots."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chat_gateway.domain import invites
from chat_gateway.events.calls import Call, Handler
from chat_gateway.identity.auth_client import FetchAccounts
from chat_gateway.protocol import payloads
from chat_gateway.sessions.joining import Sessions
from chat_gateway.sessions.persistence_client import PersistenceClient
from chat_gateway.settings import GatewaySettings
from shared.contracts import ids
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    DeleteSession,
    LeaveSession,
    RemoveChatbot,
    RemoveUser,
    StartSession,
    UpdateSession,
)
from shared.contracts.payload import Payload, rfc3339, rfc3339_now, utc_now
from shared.errors import BackchatError, Conflict, Forbidden, NotFound, Unavailable


class SessionEvents:
    """Handlers of events about a session as a whole."""

    def __init__(
        self, persistence: PersistenceClient, sessions: Sessions, settings: GatewaySettings, accounts: FetchAccounts
    ) -> None:
        self._accounts = accounts
        self._persistence = persistence
        self._sessions = sessions
        self._settings = settings

    @property
    def handlers(self) -> Mapping[type[payloads.ClientPayload], Handler]:
        """See `EventHandlers`."""
        return {
            payloads.StartChat: self._start_chat,
            payloads.UpdateChat: self._update_chat,
            payloads.DeleteChat: self._delete_chat,
            payloads.AddChatbot: self._add_chatbot,
            payloads.RemoveChatbot: self._remove_chatbot,
            payloads.CreateInvite: self._create_invite,
            payloads.AcceptInvite: self._accept_invite,
            payloads.LeaveSession: self._leave_session,
            payloads.RemoveUser: self._remove_user,
        }

    async def _start_chat(self, call: Call, request: payloads.StartChat) -> None:
        user = call.caller.user_id
        chatbot_ids = list(dict.fromkeys(request.chatbot_ids or ()))
        if len(chatbot_ids) > self._settings.chatbots_max:
            raise Conflict(f"A session holds at most {self._settings.chatbots_max} chatbots.")
        session_id = ids.session_id(user, request.client_request_id)
        command = StartSession(
            session_id=session_id,
            user_id=user,
            title=request.title,
            chatbot_ids=chatbot_ids or None,
            reply_policy=request.reply_policy,
            created_at=rfc3339_now(),
            users=await self._accounts_of(call, request.users),
        )
        if command.users is None:
            await self._join_by_command(call, command)
            return
        found = await self._command(call, command)  # the service is no member, so that it does not join
        call.created = found["created"]
        call.accept({"session": found["session"]})

    async def _accounts_of(self, call: Call, users: list[str] | None) -> list[str] | None:
        """Check the accounts for which a service starts a session; `None` if the session is the caller's own.

        Raises:
            Forbidden: the caller may not start sessions for others.
            NotFound: an account does not exist.
            Unavailable: auth does not answer.
        """
        if users is None:
            return None
        caller = call.caller
        if not caller.identity.writes_all:
            if caller.identity.scopes is None and caller.receives:
                return None  # over Socket.IO it was an unknown field, which is ignored, before there were services
            raise Forbidden("Only services with the scope `sessions` may start a session for others.")
        wanted = list(dict.fromkeys(users))
        if len(wanted) > self._settings.users_max:
            raise Conflict(f"A session holds at most {self._settings.users_max} users.")
        try:
            known = await self._accounts(wanted)
        except BackchatError:
            raise
        except Exception:  # noqa: BLE001 - the transport may raise anything
            raise Unavailable from None
        if not set(wanted) <= set(known):
            raise NotFound("There is no such account.")
        return wanted

    async def _update_chat(self, call: Call, request: payloads.UpdateChat) -> None:
        command = UpdateSession(
            session_id=request.session_id,
            user_id=call.caller.user_id,
            title=request.title,
            reply_policy=request.reply_policy,
            if_seq=call.if_seq,
        )
        await self._accept_session(call, command)

    async def _delete_chat(self, call: Call, request: payloads.DeleteChat) -> None:
        command = DeleteSession(session_id=request.session_id, user_id=call.caller.user_id, if_seq=call.if_seq)
        await self._command(call, command)
        self._sessions.mark_deleted(call.caller, str(request.session_id))
        call.accept({})

    async def _add_chatbot(self, call: Call, request: payloads.AddChatbot) -> None:
        command = AddChatbot(session_id=request.session_id, user_id=call.caller.user_id, chatbot_id=request.chatbot_id)
        await self._accept_session(call, command)

    async def _remove_chatbot(self, call: Call, request: payloads.RemoveChatbot) -> None:
        command = RemoveChatbot(
            session_id=request.session_id, user_id=call.caller.user_id, chatbot_id=request.chatbot_id
        )
        await self._accept_session(call, command)

    async def _create_invite(self, call: Call, request: payloads.CreateInvite) -> None:
        """Create an invite. The secret is not stored, so a repeated event creates another invite."""
        invite = invites.compose(request.session_id, secrets.token_bytes(invites.SECRET_BYTES))
        expires_at = rfc3339(utc_now() + timedelta(seconds=request.expires_in))
        command = CreateInvite(
            session_id=request.session_id,
            user_id=call.caller.user_id,
            invite_hash=invites.digest(invite),
            expires_at=expires_at,
            max_uses=request.max_uses,
        )
        await self._command(call, command)
        call.accept({"invite": invite, "expires_at": expires_at})

    async def _accept_invite(self, call: Call, request: payloads.AcceptInvite) -> None:
        session_id = invites.session_of(request.invite)
        if session_id is None:
            raise NotFound
        command = AcceptInvite(
            session_id=session_id, user_id=call.caller.user_id, invite_hash=invites.digest(request.invite)
        )
        await self._join_by_command(call, command)

    async def _leave_session(self, call: Call, request: payloads.LeaveSession) -> None:
        user = call.caller.user_id
        await self._command(call, LeaveSession(session_id=request.session_id, user_id=user))
        self._sessions.remove_member(str(request.session_id), user)
        call.accept({})

    async def _remove_user(self, call: Call, request: payloads.RemoveUser) -> None:
        command = RemoveUser(session_id=request.session_id, user_id=call.caller.user_id, removed_id=request.user_id)
        found = await self._command(call, command)
        if request.user_id not in found["session"]["users"]:
            self._sessions.remove_member(str(request.session_id), request.user_id)
        call.accept({"session": found["session"]})

    async def _join_by_command(self, call: Call, command: StartSession | AcceptInvite) -> None:
        async def apply() -> dict[str, Any]:
            found = await self._command(call, command)
            call.created = found.get("created", True)
            return found

        await self._sessions.join_by_command(call.caller, command.session_id, apply, call.accept)

    async def _accept_session(self, call: Call, command: Payload) -> None:
        call.accept({"session": (await self._command(call, command))["session"]})

    async def _command(self, call: Call, command: Any) -> dict[str, Any]:
        return await self._persistence.command(command, call.caller.identity, call.remaining)
