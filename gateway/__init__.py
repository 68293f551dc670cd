"""The gateway: what happens to a function call from the request to the signed record.

Knows the policies, the adapters and the audit trail; none of them knows it. The rooms, from the top: `cli`, `commands`, `app` and,
a stranger to all below, `client`; `doors`, `oversight` and `runs`, `confirmations`, `calls`, then `grounding`, `identity` and `store`, and
`domain`. A room imports from the rooms below it only. The file to read first is `calls/pipeline.py`.
"""
