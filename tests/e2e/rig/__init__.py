"""A control plane on one machine, without containers: its programs, certificates, objects, logs and failures."""
