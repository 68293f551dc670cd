"""What watches and stops: kill switches, activity, reconciliation with the core, webhooks about late outcomes.

Owns the emergency stop. Must never let a call go on that would have been refused without it.
"""
