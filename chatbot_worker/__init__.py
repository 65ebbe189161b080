"""The chatbot worker: runs turns, streams what the chatbots write, hands their replies to the log.

Consumes: `turns.<chatbot id>`, one queue for each chatbot of its catalogue; `chat.control` (stops).
Publishes: text under way and typing (`chat.delivery`, transient), finished replies and summaries (`chat.log`), the
catalogue (`chat.catalogue`), turns that it hands back when it stops (`chat.turns`); asks `chat.queries`.
Owns: the catalogue (a TOML file or the built-in list), the chatbots, their limits.
Never: opens a database, numbers a message, decides who is to answer. It keeps nothing between turns.
"""
