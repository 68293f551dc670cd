"""Chat Completions: a request is a run over what the client resends, and its answer is what the run came to.

Owns the shapes of that API. Must never execute a function itself, nor take for the customer's word what a client resends.
"""
