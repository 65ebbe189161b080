"""The turns of one chatbot: consumes its queue, shares its slots among users, and publishes finished replies.

A turn is acknowledged only when its reply is in the log, or when the turn is known to be closed.
"""
