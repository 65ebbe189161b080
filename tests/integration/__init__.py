"""Tests of one part on the real servers."""
