{{- /* Labels of all objects, and of the daemon's own. A release is called `musterd` in the documentation. */ -}}
{{- define "muster.labels" -}}
app.kubernetes.io/name: muster
app.kubernetes.io/component: daemon
{{- end }}

{{- define "muster.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "muster.configuration" -}}
{{ toYaml .Values.configuration }}
{{- end }}
