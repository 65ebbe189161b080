"""Client events: checked against budgets, handled, and acked exactly once.

Holds: the dispatcher (`client_events`), the calls in flight, and one module of handlers for each group of events:
messages, sessions, replies, queries, typing and read marks, logins.
"""
