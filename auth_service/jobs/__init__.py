"""Background tasks of the service: outbox relay, revocation list, sweep, readiness probe.

Each is started by `app` and runs until it is cancelled. While the database is unavailable a job logs it once, and
retries.
"""
