"""A witness of logs (C2SP `tlog-witness`, `tlog-cosignature`): it cosigns the heads of a log as long as each continues the one before.

`protocol` is the conversation, `state` what is decided, both pure; `store` keeps what was cosigned in a file of its own, `keys` what signs.
Needs nothing of a gateway: a bank's second line, or a firm outside, runs it apart from whom it watches.
"""
