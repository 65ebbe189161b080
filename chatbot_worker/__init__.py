"""The chatbot worker: runs the turns of chatbots, streams their replies, and puts finished replies into the log.

Consumes: `turns.<chatbot id>`, one queue for each chatbot of its catalogue; `chat.control` (stops).
Publishes: deltas and typing (`chat.delivery`, transient), finished replies and summaries (`chat.log`), the catalogue
(`chat.catalogue`), turns that are requeued when it stops (`chat.turns`). Queries `chat.queries`.
Owns: the catalogue (a TOML file or the built-in list), the chatbots, their limits.
Never: opens a database, assigns sequence numbers, or decides which chatbot answers. Keeps no state between turns.
Layers: `roster` > `turns` > `replies` > `catalogue` > `kinds` > `chatbots` > `rules`.
"""
