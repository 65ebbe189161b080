"""Nouns and rules of accounts and logins. Pure: no I/O, no clock of its own, no framework.

Ids and roles of users, strength of passcodes, rotation of refresh tokens, the schedule of signing keys, and the
growing waits after failed attempts. Everything else in auth_service imports this package; it imports nothing of auth.
"""
