"""The rule of each command type, without a database."""
