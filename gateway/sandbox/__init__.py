"""Where code that nobody trusts runs: a program in a jail without network, host files, environment or secrets, and within bounds.

Owns the jail: its walls, its bounds, and what comes out of it. Must never run a program when a wall is missing, nor believe what comes out.
"""
