"""Consumers of the topics besides the log: catalogues and accounts, one delivery at a time.

Consumes   chat.catalogue (announced chatbots) and accounts (deleted users).
Publishes  `EraseAuthor` commands to chat.log.<P>; dead letters to chat.dead.
Owns       the table of chatbots, the table of erased users, and the declaration of each chatbot's turn queue.
Never      writes a session: erasure goes through the log.
"""
