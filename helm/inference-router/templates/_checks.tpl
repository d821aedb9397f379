{{/* What a schema cannot say: values that contradict each other.  Each message names the remedy. */}}
{{- define "inference-router.checks" -}}
{{- include "inference-router.checkConfig" . -}}
{{- $shared := include "inference-router.storeIsShared" . -}}
{{- if regexMatch "^postgres(ql)?:" .Values.store.location | and (not $shared) -}}
{{- fail (printf "\n\nstore.location: a PostgreSQL store is not built into inference-router %s yet.\nUse sqlite:///var/lib/inference-router/state.db with replicaCount: 1.\n" .Chart.AppVersion) -}}
{{- end -}}
{{- $remedy := printf "the store (%s) belongs to one router: set it back, or share a store.\nNone that can be shared is built into inference-router %s yet (PostgreSQL will be); until then give\none pod more CPUs and workers, or install one release for each group of routes." (.Values.store.location | splitList ":" | first) .Chart.AppVersion -}}
{{- if not $shared -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- fail (printf "\n\nreplicaCount is %d, but %s\n" (int .Values.replicaCount) $remedy) -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- fail (printf "\n\nautoscaling.enabled is true, but %s\n" $remedy) -}}
{{- end -}}
{{- if .Values.podDisruptionBudget.enabled -}}
{{- fail (printf "\n\npodDisruptionBudget.enabled is true, and would keep the only pod's node from ever being drained:\n%s\n" $remedy) -}}
{{- end -}}
{{- end -}}
{{- $tokens := "\nCreate a Secret with the SHA-256 of each token and name it in auth.existingSecret and auth.tokens:\n  kubectl create secret generic router-tokens --from-literal=ci=\"$(printf %s \"$TOKEN\" | sha256sum | cut -d' ' -f1)\"\n" -}}
{{- if and .Values.auth.tokens (not .Values.auth.existingSecret) -}}
{{- fail (printf "\n\nauth.tokens are given, but not auth.existingSecret, which holds their digests.%s" $tokens) -}}
{{- end -}}
{{- if not .Values.auth.tokens -}}
{{- if .Values.service.admin.enabled -}}
{{- fail (printf "\n\nservice.admin.enabled would open the admin port to others, but auth.tokens names nobody who may use it.%s" $tokens) -}}
{{- end -}}
{{- if .Values.service.metrics.enabled -}}
{{- fail (printf "\n\nservice.metrics.enabled would open the admin port (metrics are on it), but auth.tokens names nobody who may use it.%s" $tokens) -}}
{{- end -}}
{{- end -}}
{{- $shown := ne .Values.tls.clientCertificates "off" -}}
{{- if and $shown (not .Values.tls.secretName) -}}
{{- fail "\n\ntls.clientCertificates asks clients for certificates, but without tls.secretName the traffic port speaks\nplain HTTP: name the Secret that holds tls.crt and tls.key.\n" -}}
{{- end -}}
{{- if and (not $shown) (or .Values.tls.clientCaSecret .Values.tls.forwardClientCertificate) -}}
{{- fail "\n\ntls.clientCaSecret and tls.forwardClientCertificate say nothing while tls.clientCertificates is off:\nset it to optional or required.\n" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.metrics.enabled) -}}
{{- fail "\n\nserviceMonitor.enabled has nothing to scrape: set service.metrics.enabled: true.\n" -}}
{{- end -}}
{{- if and .Values.containerOnly (or .Values.service.traffic.enabled .Values.service.admin.enabled .Values.service.metrics.enabled) -}}
{{- fail "\n\ncontainerOnly: this chart renders no pod that its Services could reach: disable service.traffic, service.admin\nand service.metrics, and write Services beside your own Deployment.\n" -}}
{{- end -}}
{{- if and .Values.sidecar.enabled (not .Values.sidecar.containers) (not .Values.containerOnly) -}}
{{- fail "\n\nsidecar.enabled, but sidecar.containers names no application to stand beside.\n" -}}
{{- end -}}
{{- if and .Values.sidecar.enabled .Values.service.traffic.enabled (eq "traffic" (toString .Values.service.traffic.targetPort)) -}}
{{- fail "\n\nA sidecar listens on loopback, where no Service reaches it: set service.traffic.targetPort to a port\nof your application, or service.traffic.enabled: false.\n" -}}
{{- end -}}
{{- end -}}

{{/* Mistakes in the router's own file that are seen at a glance; `inference-router check` sees all. */}}
{{- define "inference-router.checkConfig" -}}
{{- if hasKey .Values.files "router.yaml" -}}
{{- fail "\n\nfiles: router.yaml is what `config` becomes: give that file another name.\n" -}}
{{- end -}}
{{- $config := .Values.config | fromYaml -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "\n\nconfig is not a YAML mapping: %s\n" $config.Error) -}}
{{- end -}}
{{- range $section, $_ := pick $config "server" "store" "auth" -}}
{{- fail (printf "\n\nconfig has a section %s: write it as the chart's own value %s instead (see values.yaml).\n" $section (get (dict "server" "server" "store" "store.location" "auth" "auth.tokens") $section)) -}}
{{- end -}}
{{- if not $config.routes -}}
{{- fail "\n\nconfig has no routes: give at least one, like\n  config: |\n    routes:\n    - name: chat\n      match: [{pathPrefix: /v1}]\n      versions: {v1: {endpoints: [\"http://vllm.models:8000\"]}}\nor the router's own file: --set-file config=router.yaml\n" -}}
{{- end -}}
{{- range $config.routes -}}
{{- $route := .name -}}
{{- range $version, $percent := .initialWeights -}}
{{- include "inference-router.checkPercent" (list $route (printf "initialWeights.%s" $version) $percent 100) -}}
{{- end -}}
{{- with .shadow -}}
{{- include "inference-router.checkPercent" (list $route "shadow.percent" (dig "percent" 100 .) 100) -}}
{{- end -}}
{{- $canary := dig "strategy" "canary" dict . -}}
{{- range $index, $step := $canary.steps -}}
{{- with dig "setWeight" 0 $step -}}
{{- include "inference-router.checkPercent" (list $route (printf "strategy.canary.steps[%d].setWeight" $index) . (default 100 $canary.maxTrafficWeight)) -}}
{{- end -}}
{{- with dig "setShadow" "percent" 0 $step -}}
{{- include "inference-router.checkPercent" (list $route (printf "strategy.canary.steps[%d].setShadow.percent" $index) . 100) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A list: route, field, its value, its largest value. */}}
{{- define "inference-router.checkPercent" -}}
{{- $value := index . 2 -}}
{{- if or (kindIs "string" $value) (lt (float64 $value) 0.0) (gt (float64 $value) (float64 (index . 3))) -}}
{{- fail (printf "\n\nconfig: route %v: %s: %v is not a number from 0 to %v.\n" (index . 0) (index . 1) $value (index . 3)) -}}
{{- end -}}
{{- end -}}
