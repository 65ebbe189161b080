"""The tables of schema `chat` and every SQL statement on them, for PostgreSQL and SQLite.

Here     tables, bulk statements, statements that differ by dialect, mappers between rows and domain objects, and the
         stores that load and save them; `database` opens transactions, `errors` classifies failures.
Never    decides what a command does; commits anywhere but in `database`.
"""
