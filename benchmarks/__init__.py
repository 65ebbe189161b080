"""Measures turns per second, CPU per turn and latency of Backchat and of two baselines, in one run (`make bench`).

Consumes: `python -m embedded` and the four services as real processes, private PostgreSQL and RabbitMQ of
`tests.support`. Publishes: a Markdown table, JSON in `benchmarks/results/`. Owns: the load generator (`generator`,
a separate process), the baselines (`servers`). Never: touches a server that is running already.
"""
