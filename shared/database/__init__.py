"""Engines and migrations for PostgreSQL and SQLite, with SQLAlchemy Core and Alembic."""
