{{/* Names, labels and metadata of every object. */}}

{{- define "tidegauge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "tidegauge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "tidegauge.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{- define "tidegauge.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegauge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "tidegauge.selector" -}}
app.kubernetes.io/name: {{ include "tidegauge.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of an object, or of pods with `more`; nobody's labels replace those that select pods. */}}
{{- define "tidegauge.labels" -}}
{{- $root := .root -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/component" "metrics"
  "app.kubernetes.io/part-of" (include "tidegauge.name" $root)
  "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $fixed := include "tidegauge.selector" $root | fromYaml -}}
{{- merge (dict) $fixed (default dict .more) (default dict $root.Values.customLabels) $ours | toYaml -}}
{{- end }}

{{/* Metadata: root, name; optionally namespace, labels, annotations. */}}
{{- define "tidegauge.metadata" -}}
name: {{ .name | quote }}
{{- with .namespace }}
namespace: {{ . | quote }}
{{- end }}
labels:
  {{- include "tidegauge.labels" (dict "root" .root "more" .labels) | nindent 2 }}
{{- with merge (dict) (default dict .annotations) (default dict .root.Values.customAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Subjects of a binding: the adapter's own account. */}}
{{- define "tidegauge.subjects" -}}
- kind: ServiceAccount
  name: {{ include "tidegauge.account" . | quote }}
  namespace: {{ include "tidegauge.namespace" . | quote }}
{{- end }}

{{/* Subjects of a binding: the HPA controller, which reads metrics. */}}
{{- define "tidegauge.autoscaler" -}}
- kind: ServiceAccount
  name: horizontal-pod-autoscaler
  namespace: kube-system
{{- end }}
