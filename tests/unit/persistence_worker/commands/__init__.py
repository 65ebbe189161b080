"""Pure rules of the persistence worker."""
