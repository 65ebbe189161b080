"""Contracts: what travels between the services, and through which exchanges and queues.

`ids` derives identities, `envelope` wraps a payload as a CloudEvent, `views` are the public shapes,
`commands`, `events`, `turns` and `queries` are the payloads, `topology` is the one table of names.
Pure data: nothing here imports the web, the queue or the database.
"""
