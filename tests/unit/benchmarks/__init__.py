"""The benchmarks count honestly."""
