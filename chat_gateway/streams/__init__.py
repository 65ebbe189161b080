"""Server-Sent Events: what sockets receive, as responses of the HTTP API.

Holds: the stream with its outbound queue, its catch-up, and the table of open streams, which writes comments and cuts
off readers that do not read.
Receives from the same deliveries as the sockets; never joins a socket and never shows a user as present.
"""
