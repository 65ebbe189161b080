"""The client side of OpenID Connect: the provider, HTTP to it, and the state of a login in progress."""
