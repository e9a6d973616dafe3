{{/* What NOTES.txt warns of. */}}

{{/* Keys inside the blocks of prometheus-adapter's chart, which may hold others without an error, as there. */}}
{{- define "tidegauge.known" -}}
image: [repository, tag, digest, pullPolicy, pullSecrets]
prometheus: [url, port, path]
rules: [default, custom, external, resource, metrics, defaults, backends, existing]
podDisruptionBudget: [enabled, minAvailable, maxUnavailable, unhealthyPodEvictionPolicy]
hostNetwork: [enabled]
service: [annotations, port, type, clusterIP, ipDualStack]
tls: [enable, ca, key, certificate]
certManager: [enabled, caCertDuration, certDuration, caCertRevisionHistoryLimit, certRevisionHistoryLimit]
rbac: [create, useAuthReaderClusterRole, externalMetrics, customMetrics, defaultResources, resources]
serviceAccount: [create, name, annotations, automountServiceAccountToken]
{{- end }}

{{- define "tidegauge.unknown" -}}
{{- $found := list -}}
{{- range $block, $keys := include "tidegauge.known" . | fromYaml -}}
{{- range $key := get $.Values $block | keys | sortAlpha -}}
{{- if not (has $key $keys) }}{{ $found = append $found (printf "%s.%s" $block $key) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- join ", " $found -}}
{{- end }}

{{/* Names of the APIs that are registered, as YAML. */}}
{{- define "tidegauge.registered" -}}
{{- if .Values.apiServices.create -}}
{{- if include "tidegauge.serves" (dict "root" . "api" "custom") }}
- v1beta2.custom.metrics.k8s.io
- v1beta1.custom.metrics.k8s.io
{{- end }}
{{- if include "tidegauge.serves" (dict "root" . "api" "external") }}
- v1beta1.external.metrics.k8s.io
{{- end }}
{{- if include "tidegauge.serves" (dict "root" . "api" "resource") }}
- v1beta1.metrics.k8s.io
- v1.metrics.k8s.io
{{- end }}
{{- end -}}
{{- end }}

{{- define "tidegauge.warnings" -}}
{{- $values := .Values -}}
{{- $image := include "tidegauge.image" . -}}
{{- if include "tidegauge.image.isTheirs" (toString $values.image.repository) }}
- image: {{ $values.image.repository }} is prometheus-adapter's own; {{ $image }} runs instead.
{{- else if and $values.image.tag (not $values.image.digest) (ne (toString $values.image.tag) (include "tidegauge.image.tag" .)) }}
- image.tag: {{ $values.image.tag }} is a release of prometheus-adapter; {{ $image }} runs instead.
{{- else if contains "prometheus-adapter" $image }}
- image: {{ $image }} looks like a mirror of prometheus-adapter; if it is, that runs and not Tidegauge. Set image.repository and image.tag.
{{- end }}
{{- with include "tidegauge.unknown" . }}
- Values that mean nothing here: {{ . }}.
{{- end }}
{{- if and .Values.apiServices.create (not (include "tidegauge.registered" .)) }}
- No API is registered, for there are no rules that the chart can see. Give some in `rules`; with rules.existing say which APIs they
  serve: apiServices.custom, apiServices.external, apiServices.resource.
{{- end }}
{{- if not (or $values.tls.enable $values.certManager.enabled $values.selfManagedCertificate.enabled) }}
{{- if include "tidegauge.registered" . }}
- insecureSkipTLSVerify: kube-apiserver does not verify whom it asks for metrics. Cure: selfManagedCertificate.enabled=true.
{{- end }}
{{- end }}
{{- if and $values.rules.default (not $values.rules.existing) }}
- rules.default: six catch-all rules offer nearly every series; they cost memory here and work in Prometheus. Cure: name the
  series that autoscalers read in rules.custom, and set rules.default=false.
{{- end }}
{{- if eq (toString $values.replicas) "1" }}
- replicas: with one, no metrics are answered while its node goes; autoscalers hold meanwhile. Cure: replicas=2, podDisruptionBudget.enabled=true.
{{- if $values.podDisruptionBudget.enabled }}
{{- if eq (toString $values.podDisruptionBudget.minAvailable) "1" }}
- podDisruptionBudget.minAvailable: 1 of one replica keeps its node from being drained.
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.networkPolicy.enabled $values.hostNetwork.enabled }}
- networkPolicy: does not hold for pods on the node's network (hostNetwork.enabled).
{{- end }}
{{- end }}
