"""Alembic's entry point: everything is in `shared.database.migrations`."""

from shared.database.migrations import run_scripts

run_scripts()
