"""The words of messages as this service divides text into them, in place of each database's own index of the text.

Nothing is read from `chat_messages`, so that this takes milliseconds; `persistence_worker.jobs.word_index` fills the
table afterwards. The text search configuration stays for workers of the release before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TRIGGERS = {
    "insert": "AFTER INSERT ON message_words BEGIN {added} END",
    "delete": "AFTER DELETE ON message_words BEGIN {removed} END",
    "update": "AFTER UPDATE OF words ON message_words BEGIN {removed} {added} END",
}
ADDED = "INSERT INTO message_words_fts (rowid, words) VALUES (new.rowid, new.words);"
REMOVED = "INSERT INTO message_words_fts (message_words_fts, rowid, words) VALUES ('delete', old.rowid, old.words);"
SETTING = "word_index"
OLD_TRIGGERS = ("insert", "delete", "update")


def upgrade() -> None:
    op.create_table(
        "message_words",
        sa.Column("session_id", sa.Uuid, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("words", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "message_words_gin",
            "message_words",
            [sa.text("array_to_tsvector(string_to_array(words, ' '))")],
            postgresql_using="gin",
        )
        op.execute("DROP INDEX chat_messages_words_idx")
    else:
        # `ascii` changes nothing: all characters beyond ASCII belong to words, and words are separated by spaces.
        op.execute(
            "CREATE VIRTUAL TABLE message_words_fts USING fts5("
            "words, content='message_words', content_rowid='rowid', tokenize='ascii', detail='none')"
        )
        for event, body in TRIGGERS.items():
            op.execute(f"CREATE TRIGGER message_words_{event} {body.format(added=ADDED, removed=REMOVED)}")
        for event in OLD_TRIGGERS:
            op.execute(f"DROP TRIGGER chat_messages_words_{event}")
        op.execute("DROP TABLE chat_messages_words")
    op.execute(f"INSERT INTO settings (name, value) SELECT '{SETTING}', '' WHERE EXISTS (SELECT 1 FROM chat_messages)")  # noqa: S608


def downgrade() -> None:
    op.execute(f"DELETE FROM settings WHERE name = '{SETTING}'")  # noqa: S608
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "chat_messages_words_idx",
            "chat_messages",
            [sa.text("to_tsvector('words', translate(content, '@./:-_?&=#+', '           '))")],
            postgresql_using="gin",
        )
    else:
        for event in TRIGGERS:
            op.execute(f"DROP TRIGGER message_words_{event}")
        op.execute("DROP TABLE message_words_fts")
        op.execute(
            "CREATE VIRTUAL TABLE chat_messages_words USING fts5("
            "content, content='chat_messages', content_rowid='rowid', tokenize='porter unicode61 remove_diacritics 0')"
        )
        added = "INSERT INTO chat_messages_words (rowid, content) VALUES (new.rowid, new.content);"
        removed = (
            "INSERT INTO chat_messages_words (chat_messages_words, rowid, content) "
            "VALUES ('delete', old.rowid, old.content);"
        )
        for event, body in {
            "insert": f"AFTER INSERT ON chat_messages BEGIN {added} END",
            "delete": f"AFTER DELETE ON chat_messages BEGIN {removed} END",
            "update": f"AFTER UPDATE OF content ON chat_messages BEGIN {removed} {added} END",
        }.items():
            op.execute(f"CREATE TRIGGER chat_messages_words_{event} {body}")
        op.execute("INSERT INTO chat_messages_words (chat_messages_words) VALUES ('rebuild')")
    op.drop_table("message_words")
