"""Baseline `seed`: the seed's design as one Flask program, a straight reading of its description.

Flask-SocketIO in threading mode on simple-websocket, SQLAlchemy with psycopg, a pool of 20. `send_message` does in
the handler: SELECT user, SELECT session, INSERT the message and COMMIT, make the echo reply, INSERT and COMMIT,
emit the reply to the sender, ack. No tokens, no limits, no `seq`: all that is missing makes it faster.

`python -m benchmarks.servers.seed PORT DATABASE_URL`
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import Flask, request, session
from flask_socketio import SocketIO, emit
from sqlalchemy import ForeignKey, Index, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

POOL_SIZE = 20


class Base(DeclarativeBase):
    """The seed's tables, as far as a turn needs them."""


class User(Base):
    """A user; the passcode plays no part here."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)


class ChatSession(Base):
    """A chat and its owner."""

    __tablename__ = "chat_sessions"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))


class ChatMessage(Base):
    """A message of a user or of the chatbot."""

    __tablename__ = "chat_messages"
    __table_args__ = (Index("chat_messages_by_session", "session_id", "timestamp"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("chat_sessions.id"))
    sender_id: Mapped[str]
    sender_type: Mapped[str]
    content: Mapped[str]
    timestamp: Mapped[datetime]


def store(database: Session, chat: ChatSession, sender_id: str, sender_type: str, content: str) -> str:
    """Insert a message and commit; returns its id."""
    message = ChatMessage(
        id=str(uuid4()),
        session_id=chat.id,
        sender_id=sender_id,
        sender_type=sender_type,
        content=content,
        timestamp=datetime.now(UTC).replace(tzinfo=None),
    )
    message_id = message.id
    database.add(message)
    database.commit()
    return message_id


def build(database_url: str) -> tuple[Flask, SocketIO]:
    """The program."""
    engine = create_engine(database_url, pool_size=POOL_SIZE, max_overflow=0)
    Base.metadata.create_all(engine)
    new_session = sessionmaker(engine, expire_on_commit=False)
    app = Flask(__name__)
    app.secret_key = "benchmark"  # signs Flask's session, which no client receives here
    socket = SocketIO(app, async_mode="threading")

    @socket.on("connect")  # type: ignore[untyped-decorator]
    def connect(auth: dict[str, str]) -> None:
        session["user_id"] = auth["token"]
        with new_session() as database:
            database.merge(User(id=auth["token"]))
            database.commit()

    @socket.on("start_chat")  # type: ignore[untyped-decorator]
    def start_chat(_payload: dict[str, Any]) -> dict[str, Any]:
        with new_session() as database:
            chat = ChatSession(id=str(uuid4()), user_id=session["user_id"])
            chat_id = chat.id
            database.add(chat)
            database.commit()
        return {"ok": True, "session": {"id": chat_id}}

    @socket.on("send_message")  # type: ignore[untyped-decorator]
    def send_message(payload: dict[str, Any]) -> dict[str, Any]:
        with new_session() as database:
            user = database.get(User, session["user_id"])
            chat = database.get(ChatSession, payload["session_id"])
            if user is None or chat is None or chat.user_id != user.id:
                return {"ok": False, "error": {"code": "not_found"}}
            message_id = store(database, chat, user.id, "user", payload["content"])
            reply = payload["content"]
            reply_id = store(database, chat, "echo", "chatbot", reply)
        message = {
            "id": reply_id,
            "session_id": payload["session_id"],
            "sender_type": "chatbot",
            "sender_id": "echo",
            "content": reply,
            "reply_to": message_id,
        }
        emit("message", message, to=request.sid)  # type: ignore[attr-defined]
        return {"ok": True, "message_id": message_id}

    return app, socket


def main(port: int, database_url: str) -> None:
    """Serve until killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app, socket = build(database_url)
    socket.run(app, host="127.0.0.1", port=port, allow_unsafe_werkzeug=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
