"""The write path: from a partition of the log to a committed transaction and its publications.

Consumes   chat.log.<P>, one subscription for each partition.
Publishes  what `domain.publications` lists, after the commit; dead letters to chat.dead.
Owns       group commit across partitions, retries, and the isolation of poison messages.
Never      acknowledges a delivery before its commands are committed and their publications confirmed.
"""
