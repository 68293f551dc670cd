"""What each verb of the `tellergate` command does, one module per noun. `cli` parses; these work and print, and return the exit status.

Owns what a person at a terminal reads. Must never do what the HTTP API could not: it opens the same gateway, with the same records.
"""
