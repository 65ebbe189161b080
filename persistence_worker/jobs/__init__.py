"""Periodic jobs of every worker. Row locks prevent two workers from processing the same rows.

Here       overdue turns are republished, turns with unanswered stops end as stopped, and expired rows are deleted.
Publishes  chat.turns, and the commands that end turns to chat.log.<P>.
Never      ends a turn directly: its end goes through the log.
"""
