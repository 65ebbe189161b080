"""The load generator: one process and one loop on raw WebSocket frames, so that it is not itself the limit."""
