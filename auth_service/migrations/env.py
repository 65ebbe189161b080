"""Alembic's entry point."""

from shared.database.migrations import run_scripts

run_scripts()
