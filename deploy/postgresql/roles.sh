#!/bin/sh
# Runs once, when the database is created. Creates a role for migrations, which owns the schemas, and a role per service,
# which may only read and write rows of its schema.
set -eu

password() { cat "${BACKCHAT_SECRETS:-/run/secrets}/$1"; }

psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    -v database="$POSTGRES_DB" -v migrator="$(password migrator)" -v auth="$(password auth)" -v persistence="$(password persistence)" <<'SQL'
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
CREATE ROLE backchat_migrator LOGIN PASSWORD :'migrator';
CREATE ROLE backchat_auth LOGIN PASSWORD :'auth';
CREATE ROLE backchat_persistence LOGIN PASSWORD :'persistence';
GRANT CONNECT, CREATE ON DATABASE :"database" TO backchat_migrator;
GRANT CONNECT ON DATABASE :"database" TO backchat_auth, backchat_persistence;
CREATE SCHEMA auth AUTHORIZATION backchat_migrator;
CREATE SCHEMA chat AUTHORIZATION backchat_migrator;
GRANT USAGE ON SCHEMA auth TO backchat_auth;
GRANT USAGE ON SCHEMA chat TO backchat_persistence;
ALTER DEFAULT PRIVILEGES FOR ROLE backchat_migrator IN SCHEMA auth
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO backchat_auth;
ALTER DEFAULT PRIVILEGES FOR ROLE backchat_migrator IN SCHEMA auth GRANT USAGE ON SEQUENCES TO backchat_auth;
ALTER DEFAULT PRIVILEGES FOR ROLE backchat_migrator IN SCHEMA chat
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO backchat_persistence;
ALTER DEFAULT PRIVILEGES FOR ROLE backchat_migrator IN SCHEMA chat GRANT USAGE ON SEQUENCES TO backchat_persistence;
SQL
