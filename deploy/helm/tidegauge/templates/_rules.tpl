{{/* The rules file, and which APIs it serves. */}}

{{/* All rules of custom.metrics.k8s.io and the rest of the file, as YAML. */}}
{{- define "tidegauge.config" -}}
{{- $rules := .Values.rules -}}
{{- $file := dict -}}
{{- $custom := default list $rules.custom -}}
{{- if $rules.default -}}
{{- $custom = concat (.Files.Get "files/default-rules.yaml" | fromYaml).rules $custom -}}
{{- end -}}
{{- range $key, $part := dict
  "rules" $custom
  "externalRules" $rules.external
  "resourceRules" $rules.resource
  "metrics" $rules.metrics
  "defaults" $rules.defaults
  "backends" $rules.backends -}}
{{- if $part }}{{ $_ := set $file $key $part }}{{ end -}}
{{- end -}}
{{- if $file }}{{ toYaml $file }}{{ else }}rules: []{{ end -}}
{{- end }}

{{/* Of a dict of root and api (custom, external, resource): "true" if the adapter answers it. */}}
{{- define "tidegauge.serves" -}}
{{- $rules := .root.Values.rules -}}
{{- $said := get .root.Values.apiServices .api | toString -}}
{{- $has := dict "custom" (or $rules.default $rules.custom) "external" $rules.external "resource" $rules.resource -}}
{{- range $rules.metrics -}}
{{- $_ := set $has (ternary "external" "custom" (eq (toString .external) "true")) true -}}
{{- end -}}
{{- if or (eq $said "true") (and (ne $said "false") (get $has .api)) }}true{{ end -}}
{{- end }}

{{/* The address of --prometheus-url; empty if the rules name the server. */}}
{{- define "tidegauge.prometheusURL" -}}
{{- if and .Values.prometheus.url (or .Values.rules.existing (not .Values.rules.backends)) -}}
{{- tpl (toString .Values.prometheus.url) . -}}
{{- with .Values.prometheus.port }}:{{ . }}{{ end -}}
{{- .Values.prometheus.path -}}
{{- end -}}
{{- end }}

{{/* Where Prometheus is, for people and network policies; empty if only a given ConfigMap says it. */}}
{{- define "tidegauge.prometheusAddress" -}}
{{- $url := include "tidegauge.prometheusURL" . -}}
{{- if and (not $url) (not .Values.rules.existing) -}}
{{- range .Values.rules.backends }}{{ $url = .url }}{{ end -}}
{{- end -}}
{{- $url -}}
{{- end }}

{{/* Its port: that of the address, else of its scheme. */}}
{{- define "tidegauge.prometheusPort" -}}
{{- $url := include "tidegauge.prometheusAddress" . | default "http://any" | urlParse -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}
