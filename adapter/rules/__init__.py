"""The domain: rules, and what they decide. Pure."""
