"""Networks that compute less for some inputs than for others."""
