"""The auditors' console on the operations listener: search, a call's life, the state of the log, holds and what is due, charts.

Owns its pages and what they ask of the trail. Must never show a record whose look is not itself on record, nor need a script for anything
but a check within the browser.
"""
