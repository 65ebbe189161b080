"""The persistence worker: the one writer of sessions.

Consumes   chat.log.<P> (one subscription a partition), chat.queries, chat.catalogue, accounts.
Publishes  chat.delivery (stored and changed messages, sessions updated and deleted, read marks, rejections, heads),
           chat.turns, chat.control, chat.dead, answers to whoever waits, and chat.log.<P> (the ends of turns that no
           worker can end, erasure).
Owns       the tables of schema `chat`: sessions, messages, members, turns, invites, ratings, the commands applied,
           erased users, summaries, the chatbots' catalogue.
Never      tells anybody of a change before it is committed; streams; knows a socket or a chatbot's code.
"""
