"""The persistence worker: the only writer of sessions.

Consumes   chat.log.<P> (one subscription for each partition), chat.queries, chat.catalogue, accounts.
Publishes  chat.delivery (stored and changed messages, updated and deleted sessions, read marks, rejections, heads),
           chat.turns, chat.control, chat.dead, answers to queries and commands, and commands to chat.log.<P> (the ends
           of turns that no chatbot worker can end, and erasures).
Owns       the tables of schema `chat`: sessions, messages, members, turns, invites, ratings, applied commands, erased
           users, summaries, and the catalogue of chatbots.
Never      publishes an uncommitted change; streams deltas; knows a socket or a chatbot's code.

The sub-packages are layers, each of which imports only those below it: `jobs` and `operations`; `consumers` and
`reads`; `commands`; `storage`; `domain`.
"""
