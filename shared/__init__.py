"""Code that all services share: contracts, bus, database, HTTP parts, runtime. Imports no service."""

__version__ = "0.1.0"
