"""The signed log, usable without the gateway. Knows neither the gateway, the policies nor the adapters."""
