"""The formats that servers of language models and webhooks answer in, and the errors of such a server. Pure."""
