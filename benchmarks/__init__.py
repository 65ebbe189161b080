"""`make bench`: whole turns a second, CPU a turn and latencies of Backchat beside two baselines, in one run.

Consumes: `python -m embedded` and the four services as real processes, private PostgreSQL and RabbitMQ of
`tests.support`. Publishes: a Markdown table, JSON in `benchmarks/results/`. Owns: the load generator (`generator`,
a process of its own), the baselines (`servers`). Never: touches a server that is running already.
"""
