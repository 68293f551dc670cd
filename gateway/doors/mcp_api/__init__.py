"""The Model Context Protocol, `/mcp`: a customer's functions as tools, by the official package. Needs the extra `mcp`.

Owns the shapes of that protocol. Must never pass a token on, nor take an answer of the host for the customer's word.
"""
