"""What exists for development mode alone, because no bank could stand behind it.

Owns the local issuer, the software passkeys, the bundle and the mandates that nobody signed, the stand-in for a model, what the first pages
say, the settings of `serve --dev`, and the composition of these. Must never be imported by what serves customers.
"""
