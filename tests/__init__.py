"""The tests: `unit` mirrors the tree, `contract` runs on every implementation, `integration`, `e2e`; `support` is shared."""
