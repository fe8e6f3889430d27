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

{{- /* What the user says, and where the chart has mounted the secret. */ -}}
{{- define "muster.configuration" -}}
{{- $files := dict }}
{{- if .Values.tls.secretName }}
{{- $_ := set $files "cert_file" "/etc/muster-tls/tls.crt" }}
{{- $_ := set $files "key_file" "/etc/muster-tls/tls.key" }}
{{- if .Values.tls.clientCertificates }}
{{- $_ := set $files "client_ca_file" "/etc/muster-tls/ca.crt" }}
{{- end }}
{{- toYaml (merge (dict "tls" $files) (deepCopy .Values.configuration)) }}
{{- else }}
{{- toYaml .Values.configuration }}
{{- end }}
{{- end }}

{{- define "muster.scheme" -}}
{{- if .Values.tls.secretName -}}
scheme: HTTPS
{{- end }}
{{- end }}
