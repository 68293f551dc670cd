"""Where the value of each sensitive argument comes from, and what follows from that. Pure.

`lexing` reads what a person wrote; `names` says whom they mean; `intents` what they want done,
`following` what an amount may follow from; `judging` weighs each argument.

Owns the judgement whether the customer meant a value. Must never ask a bank or a store, nor take a model's word for the customer's.
"""

from gateway.grounding.judging import Ungrounded, ground, must_be_grounded

__all__ = ["Ungrounded", "ground", "must_be_grounded"]
