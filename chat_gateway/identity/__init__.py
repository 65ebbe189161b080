"""Identity: which user and login an access token stands for, and which logins are revoked.

Holds: the check of access tokens against the keys that auth publishes, the list of revoked logins, and the HTTP client
that fetches both.
"""
