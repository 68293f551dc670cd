"""What waits for the customer: the intent that is shown, proposals, passkeys, standing mandates.

Owns what a confirmation covers. Must never execute anything itself: a confirmed call takes the pipeline again, on the facts of that moment.
"""
