#!/usr/bin/env bash
# Software: PostgreSQL 15.18 (Debian 12 package postgresql-15), SQLite 3.40.1 (of Debian's Python 3.11; any with FTS5)
# Guess:    plain text about code or sums, "Vec<String> holds a<limit and count>b", is searched by its words: "string" and
#           "limit" find it, as they do in SQLite's FTS5.
# Seen:     PostgreSQL's text search takes what stands between < and > for markup: the words are in no vector.
# Output:   PostgreSQL: 'b':4 'hold':2 'vec':1
#           found by string, limit, count, vec: PostgreSQL f f f t, SQLite t t t t
set -euo pipefail

work=$(mktemp -d)
clean() {
    stop_postgresql
    rm -rf "$work"
}
trap clean EXIT
cd "$work"
bin=/usr/lib/postgresql/15/bin
owner=() # PostgreSQL refuses to run as root
[ "$(id -u)" != 0 ] || owner=(setpriv --reuid=postgres --regid=postgres --clear-groups)

postgresql() { # OPTION=VALUE…: starts a private server that listens on the socket $work/db and no port
    local option
    mkdir db
    [ "$(id -u)" != 0 ] || { chmod 711 "$work" && chown postgres db; }
    "${owner[@]}" "$bin/initdb" -D db/data -U postgres -A trust --no-sync >/dev/null
    for option in "listen_addresses=''" "unix_socket_directories='$work/db'" fsync=off "$@"; do
        echo "${option/=/ = }"
    done | "${owner[@]}" tee -a db/data/postgresql.conf >/dev/null
    "${owner[@]}" "$bin/pg_ctl" -D db/data -l db/log -w start >/dev/null
    export PGHOST="$work/db" PGUSER=postgres PGDATABASE=postgres
}

stop_postgresql() {
    [ ! -f db/data/postmaster.pid ] || "${owner[@]}" "$bin/pg_ctl" -D db/data -m immediate stop >/dev/null 2>&1 || true
}

postgresql max_connections=10
text="Vec<String> holds a<limit and count>b"
vector=$(psql -Atqc "SELECT to_tsvector('english', '$text')")
found=
for word in string limit count vec; do
    found="$found $(psql -Atqc "SELECT to_tsvector('english', '$text') @@ plainto_tsquery('english', '$word')")"
done
sqlite=$(python3 - "$text" <<'PYTHON'
import sqlite3
import sys

database = sqlite3.connect(":memory:")
database.execute("CREATE VIRTUAL TABLE note USING fts5(text)")
database.execute("INSERT INTO note VALUES (?)", sys.argv[1:])
for word in ("string", "limit", "count", "vec"):
    (count,) = database.execute("SELECT count(*) FROM note WHERE note MATCH ?", [word]).fetchone()
    print("t" if count else "f", end=" ")
PYTHON
)
echo "PostgreSQL: $vector"
echo "found by string, limit, count, vec: PostgreSQL$found, SQLite ${sqlite% }"
[ "$found, ${sqlite% }" = " f f f t, t t t t" ] || {
    echo "the behaviour has changed" >&2
    exit 1
}
