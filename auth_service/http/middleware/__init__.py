"""ASGI middleware around all routes: body limit, HEAD requests, response headers."""
