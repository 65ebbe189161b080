#!/usr/bin/env bash
# Software: asyncpg 0.32.0 (PyPI), PostgreSQL 15.18 (Debian 12 package postgresql-15), Python 3.11
# Guess:    when a COMMIT waits for a lost synchronous standby, `command_timeout` ends it: the client gets TimeoutError and
#           the server, which cancels the statement, rolls the transaction back. `statement_timeout` would do the same.
# Seen:     `statement_timeout` does nothing. `command_timeout` raises TimeoutError, but its cancel request makes the server
#           give up waiting, not the transaction: the row is committed and visible at once, and on no standby.
# Output:   statement_timeout 1 s: still waiting after 3 s
#           command_timeout 4 s: TimeoutError
#           rows that others see: 1
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

python3 -m venv venv
venv/bin/pip install -qq asyncpg==0.32.0
postgresql "synchronous_standby_names='absent'" synchronous_commit=local
cat >probe.py <<'PYTHON'
import asyncio
import os

import asyncpg


async def main():
    other = await asyncpg.connect(host=os.environ["PGHOST"], user="postgres", database="postgres")
    await other.execute("CREATE TABLE note (id int)")
    writer = await asyncpg.connect(
        host=os.environ["PGHOST"],
        user="postgres",
        database="postgres",
        command_timeout=4,
        server_settings={"synchronous_commit": "on", "statement_timeout": "1s"},
    )
    await writer.execute("BEGIN")
    await writer.execute("INSERT INTO note VALUES (1)")
    commit = asyncio.ensure_future(writer.execute("COMMIT"))
    done, _ = await asyncio.wait([commit], timeout=3)
    print("statement_timeout 1 s:", "ended" if done else "still waiting after 3 s")
    before = await other.fetchval("SELECT count(*) FROM note")
    try:
        await commit
        outcome = "committed"
    except Exception as error:
        outcome = type(error).__name__
    rows = 0
    for _ in range(50):
        if rows := await other.fetchval("SELECT count(*) FROM note"):
            break
        await asyncio.sleep(0.1)
    print("command_timeout 4 s:", outcome)
    print("rows that others see:", rows)
    writer.terminate()
    await other.close()
    assert (bool(done), before, outcome, rows) == (False, 0, "TimeoutError", 1), "the behaviour has changed"


asyncio.run(main())
PYTHON
venv/bin/python probe.py
