"""The HTTP API below `/v1`: requests as client events.

A request becomes the event that Socket.IO has for it (`routes`), with the same payload model, budget, bounds and
handler (`chat_gateway.events`); its answer is an HTTP response instead of an ack.
Holds: the checks of a request in the order of the contract, the table of routes, forms from bodies, parameters and
headers, and the answers. Never reads a cookie, and takes a token only from the Authorization header.
"""
