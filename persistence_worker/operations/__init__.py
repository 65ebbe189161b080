"""The operator's commands: `dead list | show | replay` and `repartition`.

Each runs in a separate process, on the same bus and database.
"""
