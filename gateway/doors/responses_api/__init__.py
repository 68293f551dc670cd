"""Responses: a response is a stretch of a run of a thread that its client never sees.

Owns the shapes of that API. Must never execute a function itself, nor take what a client sends for the customer's
word, or for their consent.
"""
