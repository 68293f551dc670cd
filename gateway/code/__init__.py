"""The code interpreter: code that a model wrote runs in a session of its customer's thread, in a worker that holds nothing of the bank's.

Owns sessions, what they may use, and what is believed of what comes out. Must never run code in a process that has a secret, a network or
a database, run the same call twice, nor let one session see another.
"""
