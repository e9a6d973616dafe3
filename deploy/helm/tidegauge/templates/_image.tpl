{{/* The image; what names prometheus-adapter's own is replaced by ours, since its code cannot be meant. */}}

{{- define "tidegauge.image.isTheirs" -}}
{{- $published := "^(registry\\.k8s\\.io|k8s\\.gcr\\.io|([a-z]+\\.)?gcr\\.io/k8s-(artifacts-prod|staging-prometheus-adapter))/(prometheus-adapter/)?prometheus-adapter(-[a-z0-9]+)?$" -}}
{{- $early := "^((docker\\.io/)?directxman12|quay\\.io/coreos)/k8s-prometheus-adapter(-[a-z0-9]+)?$" -}}
{{- if or (regexMatch $published .) (regexMatch $early .) }}true{{ end -}}
{{- end }}

{{- define "tidegauge.image.repository" -}}
{{- $given := toString .Values.image.repository -}}
{{- if include "tidegauge.image.isTheirs" $given }}ghcr.io/tidegauge/tidegauge{{ else }}{{ $given }}{{ end -}}
{{- end }}

{{/* Their repository's tags are theirs, and so are tags v0.N.N on ours; a mirror's address keeps its tag. */}}
{{- define "tidegauge.image.tag" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag | toString -}}
{{- $isTheirs := include "tidegauge.image.isTheirs" (toString .Values.image.repository) -}}
{{- $isOurs := eq (include "tidegauge.image.repository" .) "ghcr.io/tidegauge/tidegauge" -}}
{{- if or $isTheirs (and $isOurs (regexMatch "^v0\\.[0-9]+\\." $tag)) }}{{ .Chart.AppVersion }}{{ else }}{{ $tag }}{{ end -}}
{{- end }}

{{- define "tidegauge.image" -}}
{{- $repository := include "tidegauge.image.repository" . -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ include "tidegauge.image.tag" . }}
{{- end -}}
{{- end }}
