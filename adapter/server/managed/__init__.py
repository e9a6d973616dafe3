"""The serving certificate that the adapter makes for itself and keeps in a Secret, for kube-apiserver to verify."""
