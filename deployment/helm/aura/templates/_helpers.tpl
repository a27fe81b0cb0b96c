{{- define "aura.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "aura.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "aura.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "aura.selectorLabels" -}}
app.kubernetes.io/name: {{ include "aura.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aura.labels" -}}
{{ include "aura.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "aura.serviceAccountName" -}}
{{- default (ternary (include "aura.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "aura.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Whether the chart makes the ConfigMap of the agents. */}}
{{- define "aura.ownAgents" -}}
{{- if not (or .Values.agents.existingConfigMap .Values.agents.existingSecret .Values.agents.existingClaim) -}}true{{- end -}}
{{- end -}}

{{/* A YAML value as TOML. Helm reads every number as a float; whole ones are written as integers. Texts are JSON, which
is TOML but for one escape, and tables within arrays are inline. */}}
{{- define "aura.tomlValue" -}}
{{- if kindIs "string" . -}}
{{- toJson . | replace "\\u003c" "<" | replace "\\u003e" ">" | replace "\\u0026" "&" -}}
{{- else if kindIs "bool" . -}}
{{- . -}}
{{- else if kindIs "slice" . -}}
[{{- range $i, $each := . }}{{ if $i }}, {{ end }}{{ include "aura.tomlValue" $each }}{{ end -}}]
{{- else if kindIs "map" . -}}
{ {{- $first := true }}{{ range $key, $each := . }}{{ if not (kindIs "invalid" $each) }}{{ if not $first }}, {{ end }}{{ $first = false }}{{ toJson $key }} = {{ include "aura.tomlValue" $each }}{{ end }}{{ end -}} }
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* A table: values first, then its tables, since a value after a table would belong to that. */}}
{{- define "aura.tomlTable" -}}
{{- $path := .path -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ toJson $key }} = {{ include "aura.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $inner := ternary (toJson $key) (printf "%s.%s" $path (toJson $key)) (eq $path "") }}

[{{ $inner }}]
{{- include "aura.tomlTable" (dict "path" $inner "table" $value) }}
{{- end }}
{{- end }}
{{- end -}}
