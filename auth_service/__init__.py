"""auth_service: who somebody is. Accounts, logins and the tokens that prove them.

Consumes: nothing. Asks persistence for the chats of an export (`ExportUser`).
Publishes: `UserDeleted` on `accounts`, by its outbox.
Owns: tables `users`, `logins`, `refresh_tokens`, `identities`, `attempts`, `outbox` (schema `auth`), the signing keys
and the server's secret; serves `/register`, `/login`, `/refresh`, `/guest`, `/logout`, `/me`, `/oidc`, the public keys
and the description of all this; tells gateways which logins were revoked.
Never: reads or writes a chat; gives away a signing key; stores a passcode, a refresh token or an address as it came in.
"""
