"""Keys, tokens and passcode hashes: everything in auth that uses cryptography.

Owns the signing keys and the server's secret in their directory, signs and verifies access tokens, derives refresh
tokens, and hashes passcodes in threads. Which key signs, and what becomes of a refresh token, is decided in `domain`.
"""
