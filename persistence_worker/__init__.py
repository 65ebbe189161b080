"""The persistence worker: the one writer of sessions.

Consumes   chat.log.<P> (one subscription a partition), chat.queries, chat.catalogue.
Publishes  chat.delivery (stored messages, updated sessions, rejections, heads), chat.turns, chat.dead,
           chat.log.<P> (the failed reply of a chatbot that is gone), answers to whoever waits.
Owns       the tables of schema `chat`: sessions, messages, members, turns, the chatbots' catalogue.
Never      tells anybody of a change before it is committed; streams; knows a socket or a chatbot's code.
"""
