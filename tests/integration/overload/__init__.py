"""Load beyond capacity and misbehaving clients: other clients are not affected (P6)."""
