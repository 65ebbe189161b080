"""The chatbots that run in this process: starts, replaces and retires their turn loops as the catalogue changes.

Announces the catalogue to persistence, and reads its file again when it changes.
"""
