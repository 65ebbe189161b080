"""Fault injection: kill, pause, cut and double while hundreds of clients chat, then heal, drain and compare.

`make chaos` runs it; `docs/explanation/faults.md` says what it does and how to read the report. The parts:
`faults` (the seeded plan), `injection` (doing it), `stack` and `proxy` (what it is done to), `clients` and
`ledger` (who chats, and what they wrote down), `checker` (what went wrong, from the ledgers and the history
alone), `recovery` (how long it took), `report`.
"""
