"""Alembic scripts of the auth service."""
