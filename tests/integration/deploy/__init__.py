"""The files of `deploy/`, on real servers."""
