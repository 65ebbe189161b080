#!/usr/bin/env bash
# Software: PostgreSQL 15.18 (Debian 12 package postgresql-15)
# Guess:    a session with `synchronous_commit = local` never waits for a standby: its writes and its NOTIFY commit at
#           once, whatever other sessions wait for. At the worst `statement_timeout` ends the wait.
# Seen:     while the COMMIT of one session that had written and notified waits for a lost synchronous standby, each
#           COMMIT with a NOTIFY waits behind it, also a local one on another channel: notifying commits take turns under
#           one lock for the whole cluster. `statement_timeout` does not end that wait; `lock_timeout` does.
# Output:   local write: committed
#           local notify: waiting, also with statement_timeout
#           local notify with lock_timeout: ERROR:  canceling statement due to lock timeout
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

postgresql "synchronous_standby_names='absent'" synchronous_commit=local
psql -Atqc "CREATE TABLE note (id int)"
PGOPTIONS='-c synchronous_commit=on' psql -Atqc "INSERT INTO note VALUES (1); NOTIFY a" 2>/dev/null &
for _ in $(seq 100); do
    [ -z "$(psql -Atqc "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" ] || break
    sleep 0.1
done
write=waiting
timeout 3 psql -Atqc "INSERT INTO note VALUES (2)" && write=committed
notify=committed
PGOPTIONS='-c statement_timeout=1s' timeout 4 psql -Atqc "NOTIFY b" 2>/dev/null || [ $? != 124 ] || notify=waiting
lock=$(PGOPTIONS='-c lock_timeout=1s' timeout 4 psql -Atqc "NOTIFY b" 2>&1) || true
echo "local write: $write"
echo "local notify: $notify, also with statement_timeout"
echo "local notify with lock_timeout: $lock"
[ "$write $notify $lock" = "committed waiting ERROR:  canceling statement due to lock timeout" ] || {
    echo "the behaviour has changed" >&2
    exit 1
}
