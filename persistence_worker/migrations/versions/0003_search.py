"""An index of the words of messages: GIN on PostgreSQL, FTS5 kept by triggers on SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TRIGGERS = {
    "insert": "AFTER INSERT ON chat_messages BEGIN {added} END",
    "delete": "AFTER DELETE ON chat_messages BEGIN {removed} END",
    "update": "AFTER UPDATE OF content ON chat_messages BEGIN {removed} {added} END",
}
ADDED = "INSERT INTO chat_messages_words (rowid, content) VALUES (new.rowid, new.content);"
REMOVED = (
    "INSERT INTO chat_messages_words (chat_messages_words, rowid, content) VALUES ('delete', old.rowid, old.content);"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # `simple` with stems: every word of every language is kept, as none is a stop word.
        op.execute("CREATE TEXT SEARCH DICTIONARY words_stem (TEMPLATE = pg_catalog.snowball, Language = english)")
        op.execute("CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple)")
        op.execute("ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING REPLACE simple WITH words_stem")
        op.create_index(
            "chat_messages_words_idx",
            "chat_messages",
            [sa.text("to_tsvector('words', translate(content, '@./:-_?&=#+', '           '))")],
            postgresql_using="gin",
        )
        return
    op.execute(
        "CREATE VIRTUAL TABLE chat_messages_words USING fts5("
        "content, content='chat_messages', content_rowid='rowid', tokenize='porter unicode61 remove_diacritics 0')"
    )
    for event, body in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER chat_messages_words_{event} {body.format(added=ADDED, removed=REMOVED)}")
    op.execute("INSERT INTO chat_messages_words (chat_messages_words) VALUES ('rebuild')")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("chat_messages_words_idx", "chat_messages")
        op.execute("DROP TEXT SEARCH CONFIGURATION words")
        op.execute("DROP TEXT SEARCH DICTIONARY words_stem")
        return
    for event in TRIGGERS:
        op.execute(f"DROP TRIGGER chat_messages_words_{event}")
    op.execute("DROP TABLE chat_messages_words")
