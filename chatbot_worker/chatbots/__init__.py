"""The interface of a chatbot, for the kinds here and for those of other packages (`docs/how-to/write-a-chatbot.md`).

`protocol` defines chatbot, turn and kind; `prompt` turns a turn into the prompt of a language model. Pure.
"""
