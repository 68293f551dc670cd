"""Composition: settings become a running gateway and its server. `main` alone decides what stands behind each port.

Owns the settings, the key files and the choice of parts. Must never hold a rule about a call or a customer.
"""
