"""The adapter behind a real kube-apiserver, asked by a real HorizontalPodAutoscaler and by kubectl."""
