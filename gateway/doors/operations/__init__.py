"""The operations listener's doors: where officers, auditors, reviewers and operators sign in and do their duties.

Owns the routes, sessions and pages of people of the bank. Must never serve customers, nor take a name that nobody proved.
"""
