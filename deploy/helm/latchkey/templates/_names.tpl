{{/* The name of all objects: that of the release, with the chart's name unless it has that. */}}
{{- define "latchkey.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels by which the workers of this release are found. */}}
{{- define "latchkey.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "latchkey.labels" -}}
{{ include "latchkey.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "latchkey.metadata" -}}
name: {{ include "latchkey.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "latchkey.labels" . | nindent 2 }}
{{- end -}}

{{/* All settings: the ports and files of this chart, and those of the values. */}}
{{- define "latchkey.settings" -}}
LATCHKEY_LISTEN: "0.0.0.0:{{ .Values.ports.lines }}"
LATCHKEY_ADMIN: "0.0.0.0:{{ .Values.ports.admin }}"
LATCHKEY_HTTP: "0.0.0.0:{{ .Values.ports.http }}"
LATCHKEY_AUTH: /etc/latchkey/principals
{{- if .Values.tls.secret }}
LATCHKEY_TLS_CERT: /etc/latchkey-tls/tls.crt
LATCHKEY_TLS_KEY: /etc/latchkey-tls/tls.key
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- /* A whole number of a file of values would be 1e+06. */}}
{{ $name }}: {{ if kindIs "float64" $value }}{{ $value | int64 | quote }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
{{- end -}}
