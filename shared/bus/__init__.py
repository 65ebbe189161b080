"""The bus: one port, two implementations.

`port` is all that a service sees. `rabbitmq` and `in_process` implement it and are chosen only where a
process is put together; one contract suite runs on both. `delivery` holds the pure rules of both.
"""
