"""The chatbots: `protocol` is what one is, `kinds` lists those there are, one module a kind.

Their rules are pure; a kind that talks to something outside does that in its own module and nowhere else.
"""
