"""The event bus: one port, two implementations.

Services import `port` and `dead_letters` only. `rabbitmq` (the distributed stack) and `in_process` (the embedded run)
implement the port; only the code that puts a process together chooses one. One contract suite runs on both.
"""
