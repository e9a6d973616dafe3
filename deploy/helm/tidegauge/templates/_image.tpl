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

{{/* A tag of theirs is v0.N.N, also on our repository; a mirror's address keeps its tag. */}}
{{- define "tidegauge.image.tag" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag | toString -}}
{{- $ours := eq (include "tidegauge.image.repository" .) "ghcr.io/tidegauge/tidegauge" -}}
{{- if and $ours (regexMatch "^v0\\.[0-9]+\\." $tag) }}{{ .Chart.AppVersion }}{{ else }}{{ $tag }}{{ end -}}
{{- end }}

{{- define "tidegauge.image" -}}
{{- $repository := include "tidegauge.image.repository" . -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ include "tidegauge.image.tag" . }}
{{- end -}}
{{- end }}
