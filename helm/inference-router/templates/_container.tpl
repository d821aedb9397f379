{{/* The router's container.  Another chart may include it, too: see README.md. */}}
{{- define "inference-router.container" -}}
name: router
image: {{ include "inference-router.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, -c, /etc/inference-router/router.yaml, --log-format, {{ .Values.server.logFormat }}]
{{- if .Values.sidecar.enabled }}
restartPolicy: Always   # a native sidecar: starts before the application, ends after it
{{- end }}
ports:
{{- if not .Values.sidecar.enabled }}
- {name: traffic, containerPort: 8080}
{{- end }}
- {name: admin, containerPort: 8081}
{{- with .Values.extraEnv }}
env:
{{ toYaml . }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
{{ toYaml . }}
{{- end }}
startupProbe:
{{ include "inference-router.probe" (dict "path" "/livez" "times" .Values.probes.startup "root" .) | indent 2 }}
livenessProbe:
{{ include "inference-router.probe" (dict "path" "/livez" "times" .Values.probes.liveness "root" .) | indent 2 }}
readinessProbe:
{{ include "inference-router.probe" (dict "path" "/readyz" "times" .Values.probes.readiness "root" .) | indent 2 }}
{{- if and .Values.preStopSeconds (not .Values.sidecar.enabled) }}
lifecycle:
  preStop: {sleep: {seconds: {{ .Values.preStopSeconds }}}}
{{- end }}
resources:
{{ toYaml .Values.resources | indent 2 }}
securityContext:
{{ toYaml .Values.securityContext | indent 2 }}
volumeMounts:
- {name: config, mountPath: /etc/inference-router, readOnly: true}   # a folder: subPath is never updated
- {name: state, mountPath: /var/lib/inference-router}
- {name: tmp, mountPath: /tmp}                                       # the link's sockets
{{- if .Values.auth.tokens }}
- {name: tokens, mountPath: /etc/inference-router-tokens, readOnly: true}
{{- end }}
{{- with .Values.tls }}
{{- if .secretName }}
- {name: tls, mountPath: /etc/inference-router-tls, readOnly: true}   # a folder: renewed files appear in it
{{- if ne .clientCertificates "off" }}
- {name: client-ca, mountPath: /etc/inference-router-client-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volumes that it mounts. */}}
{{- define "inference-router.volumes" -}}
- name: config
  configMap: {name: {{ include "inference-router.fullname" . }}}
- name: state
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ default (include "inference-router.fullname" .) .Values.persistence.existingClaim }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.auth.tokens }}
- name: tokens
  secret:
    secretName: {{ $.Values.auth.existingSecret }}
    defaultMode: 0440
    items:
    {{- range . }}
    - {key: {{ .key | quote }}, path: {{ .key | quote }}}
    {{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if .secretName }}
- name: tls
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- if ne .clientCertificates "off" }}
- name: client-ca
  secret:
    secretName: {{ default .secretName .clientCaSecret }}
    defaultMode: 0440
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A probe of the admin port: by a command where it listens on loopback, which no kubelet reaches. */}}
{{- define "inference-router.probe" -}}
{{- if include "inference-router.adminIsOpen" .root -}}
httpGet: {path: {{ .path }}, port: 8081}
{{- else -}}
exec:
  command: [python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8081{{ .path }}', timeout=4)"]
{{- end }}
{{ toYaml .times }}
{{- end -}}
