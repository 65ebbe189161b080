"""The persistence worker as a whole, on both databases, over a bus whose every step can be made to fail."""
