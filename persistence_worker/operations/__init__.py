"""The operator's commands: `dead list | show | replay` and `repartition`.

They run in processes of their own, against the same bus and database.
"""
