"""Identity: the user and login of an access token, and which logins are revoked.

Holds: the check of access tokens against the keys that auth publishes, the list of revoked logins, and the HTTP client
that fetches both.
"""
