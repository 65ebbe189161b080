"""Databases: PostgreSQL and SQLite behind SQLAlchemy Core, set up alike; migrations by Alembic."""
