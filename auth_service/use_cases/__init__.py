"""What clients can do: register, log in, refresh, log out, delete, export, come as a guest or from a provider.

Each module names the `Store` that it needs as a protocol; `app` passes the one of `storage`. Knows neither SQL nor
HTTP.
"""
