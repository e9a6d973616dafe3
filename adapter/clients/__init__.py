"""The only modules that open sockets."""
