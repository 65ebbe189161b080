"""SQL of auth, on PostgreSQL and SQLite: tables, transactions, and the stores that use cases and jobs need.

Each public method of a store is one transaction. A store raises `Unavailable` when the database is away, and decides
no rule: where a rule must be applied under a lock, it calls `domain`.
"""
