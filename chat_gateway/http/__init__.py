"""HTTP: the public ASGI app, the web page below `/chat/`, and the response headers.

Holds: the routes, the HTTP API (`api`), the refusal of connections before a socket is opened, and the files of the
built page.
"""
