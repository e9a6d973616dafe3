"""Do we answer what the APIs and prometheus-adapter promise? One corpus of cases, and what its readers share."""
