#!/usr/bin/env bash
# Software: PostgreSQL 15.18 (Debian 12 package postgresql-15)
# Guess:    while a COMMIT waits for its synchronous standby, the row is seen nowhere outside: neither by other sessions
#           nor by logical decoding.
# Seen:     other sessions do not see the row, but a logical replication slot already hands out its INSERT and COMMIT. A
#           consumer of the change stream acts on a row that a query does not find, and that a failover can undo.
# Output:   the commit waits for: SyncRep
#           rows that other sessions see: 0
#           decoded: table public.note: INSERT: id[integer]:1
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

postgresql wal_level=logical "synchronous_standby_names='absent'" synchronous_commit=local
psql -Atqc "CREATE TABLE note (id int)" -c "SELECT pg_create_logical_replication_slot('slot', 'test_decoding')" >/dev/null
PGOPTIONS='-c synchronous_commit=on' psql -Atqc "INSERT INTO note VALUES (1)" 2>/dev/null &
waits=
for _ in $(seq 100); do
    waits=$(psql -Atqc "SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND wait_event = 'SyncRep'")
    [ -z "$waits" ] || break
    sleep 0.1
done
rows=$(psql -Atqc "SELECT count(*) FROM note")
decoded=$(psql -Atqc "SELECT data FROM pg_logical_slot_get_changes('slot', NULL, NULL) WHERE data LIKE '%INSERT%'")
echo "the commit waits for: $waits"
echo "rows that other sessions see: $rows"
echo "decoded: $decoded"
[ "$waits $rows $decoded" = "SyncRep 0 table public.note: INSERT: id[integer]:1" ] || {
    echo "the behaviour has changed" >&2
    exit 1
}
