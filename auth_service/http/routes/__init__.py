"""The operations of the HTTP surface, one module for each group of paths."""
