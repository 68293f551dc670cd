"""The attack suite: a model that is wholly the attacker's, against customers who refuse, look, or say yes to everything."""
