"""The rules: what each command type does. One module for each subject, and `registry` with the table of all.

A rule takes the unit of work, the command and its envelope. It returns the command's answer, or raises a
`BackchatError` before it changes anything.
"""
