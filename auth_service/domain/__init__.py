"""Nouns and rules of accounts and logins. Pure: no I/O, no clock, no framework.

Ids and roles of users, the strength of passcodes, the rotation of refresh tokens, the schedule of signing keys, and
the waits after failed attempts. All other packages of auth_service use this one; it imports none of them.
"""
