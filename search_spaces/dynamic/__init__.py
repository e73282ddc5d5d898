"""Networks whose inputs leave at different depths: who leaves where, at what cost, and how sure to be of it."""
