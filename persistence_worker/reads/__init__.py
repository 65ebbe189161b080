"""The read path: queries answered from one snapshot each.

Consumes   chat.queries.
Publishes  one answer for each query, to its reply address.
Owns       paging, search, and the export of a user's data.
Never      writes.
"""
