"""Deliveries: events from the delivery queue of this gateway, passed on to sockets.

Holds: the consumer of the queue, and the handlers of events that are routed by session and by user.
"""
