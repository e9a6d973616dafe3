"""What tests, demo and benchmark stand on: a real Prometheus, its data, and child processes that never outlive us."""
