"""The vocabulary of all rooms: stages and facts of a call, ports, errors, mandates, limits, kill switches, the principal.

Owns the definitions. Must never do I/O and never import another room of the gateway.
"""
