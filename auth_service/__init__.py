"""auth_service: accounts, logins, and the tokens by which users authenticate.

Consumes: nothing. Requests the chats of an export from the persistence worker (`ExportUser`).
Publishes: `UserDeleted` on `accounts`, through its outbox.
Owns: tables `users`, `logins`, `refresh_tokens`, `identities`, `services`, `service_keys`, `ended_service_tokens`,
`attempts`, `outbox` (schema `auth`), the signing keys and the server's secret; serves `/register`, `/login`,
`/refresh`, `/guest`, `/logout`, `/me`, `/oidc`, `/token`, `/v1/users`, the public keys, their OpenAPI document, and the
list of revoked logins for gateways.
Never: reads or writes a chat; discloses a signing key; stores a passcode, a refresh token, the key of a service or a
client address in clear.

`domain` holds the rules. `use_cases` apply them and name the stores that they need; `storage` implements these stores.
`crypto` has keys, tokens and hashes, `oidc` the client of a login provider. `http` serves requests, `jobs` run in the
background, `app` wires everything.
"""
