"""The client protocol. Pure: what clients may send, what they receive, and its description.

Holds: one model for each client event and its fields, the parser that turns a packet's arguments into such a model,
the acks, and the AsyncAPI document made from the models.
Imports: `shared.contracts` and `shared.errors`.
"""
