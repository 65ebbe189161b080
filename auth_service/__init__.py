"""auth_service: who somebody is. Accounts, logins and the tokens that prove them.

Consumes: nothing.
Publishes: nothing.
Owns: tables `users`, `logins`, `refresh_tokens` (schema `auth`) and the signing keys; serves `/register`, `/login`,
`/me`, `/.well-known/jwks.json`, `/docs` and `/openapi.json`.
Never: reads or writes a chat; gives away a signing key; stores a passcode or a refresh token as it was sent.
"""
