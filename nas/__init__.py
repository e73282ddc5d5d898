"""Floor 4: the service. Study files, the ledger, the drivers, the results database, the comparison and the CLI."""
