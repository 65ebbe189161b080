"""What is shipped in `deploy/`, on real servers."""
