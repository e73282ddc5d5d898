"""The statistics of a comparison, each from plain numbers: no study, no table, no database.

Numbers come grouped by task (strata): runs of one task are resampled, paired and counted among themselves.
Only NumPy is imported here, and SciPy's distribution functions when a test asks for them.
"""
