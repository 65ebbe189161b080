"""One event of each type as the first release of that type wrote it. Files here are added, never changed."""
