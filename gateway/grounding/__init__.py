"""Where the value of each sensitive argument comes from, and what follows from that. Pure.

`lexing` reads what a person wrote; `names` says whom they mean; `intents` what they want done,
`following` what an amount may follow from; `judging` weighs each argument.
"""

from gateway.grounding.judging import Ungrounded, ground, must_be_grounded

__all__ = ["Ungrounded", "ground", "must_be_grounded"]
