"""State and time: everything that changes while the adapter runs."""
