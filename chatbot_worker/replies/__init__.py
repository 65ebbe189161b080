"""One reply: runs a chatbot within its limits, streams its text to the gateways, and builds the `FinishReply`.

Knows nothing of queues and acknowledgements.
"""
