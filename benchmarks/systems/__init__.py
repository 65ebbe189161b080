"""The systems under test: how each is started, what it consists of, how a client gets in."""
