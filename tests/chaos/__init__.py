"""Fault injection: break processes, servers and links while clients chat, then check that nothing was lost.

`make chaos` runs it; README.md describes what it breaks and how to read the report. Modules:

- `faults` (the seeded plan), `injection` (executes it), `composed` (the same for containers), `supervisor`
- `stack`, `stores` (the system under test, with a TCP proxy on each connection)
- `clients`, `simulated_client`, `stock_client`, `kit_client` (the load), `operation_log` (what each client did and saw)
- `checker`, `live_checks`, `sent_messages` (anomalies, found from the operation logs and the histories only)
- `recovery` (time until service resumed), `report`, `artifacts` (files of a run)
"""
