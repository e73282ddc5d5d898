"""Networks that compute less for some inputs than for others: by leaving at an exit, or by skipping blocks."""
