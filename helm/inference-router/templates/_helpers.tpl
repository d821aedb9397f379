{{/* Names and labels. */}}
{{- define "inference-router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 54 characters at most: "-metrics" and "-rollouts" are added to it. */}}
{{- define "inference-router.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- else if contains (include "inference-router.name" .) .Release.Name -}}
{{- .Release.Name | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "inference-router.name" .) | trunc 54 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "inference-router.selectorLabels" -}}
app.kubernetes.io/name: {{ include "inference-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "inference-router.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "inference-router.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "inference-router.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "inference-router.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "inference-router.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Stores that several routers can share, by their location's scheme: none is built in yet.
     On the day when PostgreSQL is, its schemes stand here, and replicas, HPA and PDB work. */}}
{{- define "inference-router.sharedStores" -}}
[]
{{- end -}}

{{- define "inference-router.storeIsShared" -}}
{{- $scheme := .Values.store.location | splitList ":" | first -}}
{{- if has $scheme (include "inference-router.sharedStores" . | fromYamlArray) -}}true{{- end -}}
{{- end -}}

{{/* "true" when others than this pod can reach the admin port. */}}
{{- define "inference-router.adminIsOpen" -}}
{{- if .Values.auth.tokens -}}true{{- end -}}
{{- end -}}

{{- define "inference-router.graceSeconds" -}}
{{- add .Values.preStopSeconds .Values.server.drainDelaySeconds .Values.server.drainSeconds .Values.extraGraceSeconds -}}
{{- end -}}

{{/* What needs a restart when it changes: the router reads routes and tokens again by itself. */}}
{{- define "inference-router.fixedConfig" -}}
server:
  listen: {{ ternary "127.0.0.1:8080" "0.0.0.0:8080" .Values.sidecar.enabled }}
  admin: {{ ternary "0.0.0.0:8081" "127.0.0.1:8081" (eq "true" (include "inference-router.adminIsOpen" .)) }}
  {{- toYaml (omit .Values.server "logFormat") | nindent 2 }}
  {{- with .Values.tls }}
  {{- if .secretName }}
  tls:
    certificateFile: /etc/inference-router-tls/tls.crt
    keyFile: /etc/inference-router-tls/tls.key
    minVersion: {{ .minVersion | quote }}
    {{- if ne .clientCertificates "off" }}
    clientCertificates: {{ .clientCertificates }}
    clientCaFile: /etc/inference-router-client-ca/ca.crt
    forwardClientCertificate: {{ .forwardClientCertificate }}
    {{- end }}
  {{- end }}
  {{- end }}
store: {{ .Values.store.location | quote }}
{{- end -}}

{{- define "inference-router.config" -}}
{{ include "inference-router.fixedConfig" . }}
{{- with .Values.auth.tokens }}
auth:
  tokens:
  {{- range . }}
  - {name: {{ .name | quote }}, role: {{ .role }}, sha256File: {{ printf "/etc/inference-router-tokens/%s" .key | quote }}}
  {{- end }}
{{- end }}
{{ .Values.config }}
{{- end -}}
