"""Periodic jobs, run by every worker; row locks keep two workers off the same rows.

Here       overdue turns (published again), unanswered stops (ended as stopped), the sweep of expired rows.
Publishes  chat.turns, and the commands that end turns to chat.log.<P>.
Never      ends a turn directly: its end goes through the log.
"""
