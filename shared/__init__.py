"""What every service shares: contracts, bus, runtime, database. Knows no service."""

__version__ = "0.1.0"
