"""The rules of sessions: what each command changes, stores, publishes and answers. No I/O.

Here     the state that a transaction locks (`state`), the unit of work that collects its changes, the rules of each
         command (`rules`), reply policies, titles, the context of a turn, and the publications that follow a commit.
Takes    loaded sessions and commands as plain objects.
Gives    changes to write, answers, and publications.
Never    awaits, opens a connection, or imports a library that does I/O.
"""
