{{/* Values that cannot work end here, with a sentence. */}}

{{- define "tidegauge.isSet" -}}
{{- if not (has (toString .) (list "" "<nil>")) }}true{{ end -}}
{{- end }}

{{- define "tidegauge.check" -}}
{{- $values := .Values -}}
{{- $ways := list -}}
{{- if $values.tls.enable }}{{ $ways = append $ways "tls.enable" }}{{ end -}}
{{- if $values.certManager.enabled }}{{ $ways = append $ways "certManager.enabled" }}{{ end -}}
{{- if $values.selfManagedCertificate.enabled }}{{ $ways = append $ways "selfManagedCertificate.enabled" }}{{ end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "\n\n%s: there is one serving certificate, so set one of them.\n" (join " and " $ways)) -}}
{{- end -}}
{{- if $values.tls.enable -}}
{{- range $key := list "ca" "key" "certificate" -}}
{{- $text := get $values.tls $key | toString | trim -}}
{{- if or (eq $text "") (hasPrefix "#" $text) -}}
{{- fail (printf "\n\ntls.%s: is empty, and tls.enable needs it: the PEM text itself, not a file name (helm's --set-file tls.%s=FILE reads one).\n" $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $backends := default dict $values.rules.backends -}}
{{- if $values.rules.existing }}{{ $backends = dict }}{{ end -}}
{{- if gt (len $backends) 1 -}}
{{- fail (printf "\n\nrules.backends: %s: one server is in force, so name one.\n" (keys $backends | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $url := include "tidegauge.prometheusURL" . -}}
{{- if not (or $url $backends $values.rules.existing) -}}
{{- fail "\n\nprometheus.url: is empty, and neither rules.backends nor rules.existing names a server.\n" -}}
{{- end -}}
{{- if and $url (not (regexMatch "^https?://[^/:]" $url)) -}}
{{- fail (printf "\n\nprometheus.url: %q is no http:// or https:// address.\n" (toString $values.prometheus.url)) -}}
{{- end -}}
{{- with $values.podDisruptionBudget -}}
{{- if and .enabled (not (include "tidegauge.isSet" .minAvailable)) (not (include "tidegauge.isSet" .maxUnavailable)) -}}
{{- fail "\n\npodDisruptionBudget: minAvailable or maxUnavailable has to be given if it is enabled.\n" -}}
{{- end -}}
{{- end -}}
{{- if and $values.metrics.enabled (eq (int $values.metrics.port) (int $values.listenPort)) -}}
{{- fail (printf "\n\nmetrics.port: %d is listenPort too; the plain metrics need a port of their own.\n" (int $values.metrics.port)) -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (not $values.metrics.enabled) -}}
{{- fail "\n\nserviceMonitor.enabled: needs metrics.enabled, for it scrapes the plain metrics.\n" -}}
{{- end -}}
{{- range $index, $rule := $values.rbac.resources -}}
{{- if not (and (hasKey $rule "apiGroups") (hasKey $rule "resources")) -}}
{{- fail (printf "\n\nrbac.resources[%d]: apiGroups and resources have to be given, as in {apiGroups: [apps], resources: [deployments]}.\n" $index) -}}
{{- end -}}
{{- end -}}
{{- end }}
