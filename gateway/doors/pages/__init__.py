"""The customer's pages: sign-in by passkey, confirming, standing mandates, activity. Served on an origin of their own.

Owns the page sessions and the headers of pages. Must never show a value without its source, or run a script that it does not serve itself.
"""
