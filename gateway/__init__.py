"""What happens to a call: the doors, the way of a call, the runs. Knows the policies, the adapters and the audit trail."""
