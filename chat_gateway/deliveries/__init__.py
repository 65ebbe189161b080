"""Deliveries: events from this gateway's own queue, passed on to the sockets they are for.

Holds: the consumer of the queue, and the handlers of events that are routed by session and by user.
"""
