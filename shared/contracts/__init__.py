"""Contracts: the messages between the services, and the exchanges and queues that carry them.

`ids` derives ids, `envelope` wraps a payload as a CloudEvent, `views` are the public shapes; `commands`, `events`,
`turns`, `queries`, `accounts` and `dead_letters` are the payloads; `topology` names exchanges and queues. Pure data:
imports no web framework, broker client or database.
"""
