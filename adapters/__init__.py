"""What the model may call, and the banks behind it. Knows neither the gateway, the policies nor the audit trail."""
