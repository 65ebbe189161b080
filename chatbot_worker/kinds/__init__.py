"""The kinds of chatbots that Backchat brings, one module or package each, and the registry that finds a kind by name.

Depends on `chatbots` only. `wire` and `providers` are shared by the kinds that call a server.
"""
