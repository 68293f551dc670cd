"""The rules and their engine. Pure; knows neither the gateway, the adapters nor the audit trail."""
