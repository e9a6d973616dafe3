"""What is wrong with an installation, and how to cure it: looks at a cluster, and decides purely about what it saw."""
