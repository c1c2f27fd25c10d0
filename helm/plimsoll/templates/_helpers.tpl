{{- /* Names, labels and image references; the checks that a JSON schema cannot express with a helpful message. */ -}}

{{- define "plimsoll.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "plimsoll.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: plimsoll
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "plimsoll.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "plimsoll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is empty and serviceAccount.create is false. Name an existing ServiceAccount in serviceAccount.name, or let the chart create one." .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The digest wins: a tag beside it is documentation and can have been moved since. */ -}}
{{- define "plimsoll.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.tritonImageHelp" -}}
Print a digest with
  crane digest nvcr.io/nvidia/tritonserver:25.03-py3
or
  docker buildx imagetools inspect nvcr.io/nvidia/tritonserver:25.03-py3 --format '{{ "{{" }}.Manifest.Digest}}'
and install with
  --set triton.image=nvcr.io/nvidia/tritonserver@sha256:...
{{- end -}}

{{- define "plimsoll.tritonImage" -}}
{{- $image := .Values.triton.image -}}
{{- if not $image -}}
{{- fail (printf "\n\ntriton.image is empty, and it has no default: the chart does not vouch for a digest that nobody verified. %s\n" (include "plimsoll.tritonImageHelp" .)) -}}
{{- end -}}
{{- if not (or .Values.triton.allowTag (regexMatch "@sha256:[0-9a-f]{64}$" $image)) -}}
{{- fail (printf "\n\ntriton.image is %q, which does not end in a digest (@sha256: and 64 hexadecimal digits): a tag can be moved to other content. %s\nFor a local trial, --set triton.allowTag=true accepts a tag.\n" $image (include "plimsoll.tritonImageHelp" .)) -}}
{{- end -}}
{{- $image -}}
{{- end -}}

{{- define "plimsoll.amounts" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $resource, $amount := $amounts }}
  {{ $resource }}: {{ $amount | toString | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "plimsoll.checkedGuards" -}}
{{- $tls := .Values.gateway.tls -}}
{{- if and (or $tls.secretName .Values.gateway.auth.secretName) (not .Values.gateway.enabled) -}}
{{- fail "\n\ngateway.tls.secretName and gateway.auth.secretName say how gateways are guarded, and there are none: set gateway.enabled to true, or leave both empty.\n" -}}
{{- end -}}
{{- if and (or $tls.clientCASecretName $tls.plainText) (not $tls.secretName) -}}
{{- fail "\n\ngateway.tls.clientCASecretName and gateway.tls.plainText add to TLS, which is off: set gateway.tls.secretName.\n" -}}
{{- end -}}
{{- if and $tls.clientCASecretName $tls.plainText -}}
{{- fail "\n\ngateway.tls.plainText lets in clients that show no certificate, and gateway.tls.clientCASecretName asks for one: leave one of them empty.\n" -}}
{{- end -}}
{{- $redis := .Values.gateway.cache.redis -}}
{{- if and (or $redis.secretName $redis.caSecretName) (not $redis.url) -}}
{{- fail "\n\ngateway.cache.redis.secretName and caSecretName say how the store is reached, and there is none: set gateway.cache.redis.url.\n" -}}
{{- end -}}
{{- if and $redis.caSecretName (not (hasPrefix "rediss://" $redis.url)) -}}
{{- fail "\n\ngateway.cache.redis.caSecretName is for a store with TLS: gateway.cache.redis.url has to begin with rediss://.\n" -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.config" -}}
{{- include "plimsoll.checkedGuards" . -}}
defaults:
  accelerator: {{ .Values.defaults.accelerator }}
  tritonImage: {{ include "plimsoll.tritonImage" . | quote }}
  progressDeadline: {{ .Values.defaults.progressDeadline }}
  {{- with .Values.defaults.resources }}
  resources:
    {{- include "plimsoll.amounts" . | trim | nindent 4 }}
  {{- end }}
fetchImage: {{ include "plimsoll.image" . | quote }}
revisionHistoryLimit: {{ .Values.revisionHistoryLimit | int }}
workers: {{ .Values.workers | int }}
resyncPeriod: {{ .Values.resyncPeriod }}
lease:
  {{- toYaml .Values.lease | nindent 2 }}
reportKeySecret: {{ include "plimsoll.fullname" . }}-report-key
gateway:
  enabled: {{ .Values.gateway.enabled }}
  replicas: {{ .Values.gateway.replicas | int }}
  maxReplicas: {{ .Values.gateway.maxReplicas | int }}
  maxConcurrentUpgrades: {{ .Values.gateway.maxConcurrentUpgrades | int }}
  {{- with .Values.gateway.accessLog }}
  accessLog: {{ . }}
  {{- end }}
  roleName: {{ include "plimsoll.fullname" . }}-gateway
  metricsNamespaces: {{ .Values.gateway.metricsNamespaces | toJson }}
  imagePullSecrets:
    {{- range .Values.gateway.imagePullSecrets }}
    - {{ .name }}
    {{- else }} []
    {{- end }}
  {{- with .Values.gateway.resources }}
  resources:
    {{- include "plimsoll.amounts" . | trim | nindent 4 }}
  {{- end }}
  {{- with .Values.gateway.tls }}
  {{- if .secretName }}
  tls:
    secretName: {{ .secretName }}
    {{- with .clientCASecretName }}
    clientCASecretName: {{ . }}
    {{- end }}
    plainText: {{ .plainText }}
  {{- end }}
  {{- end }}
  {{- with .Values.gateway.auth.secretName }}
  auth:
    secretName: {{ . }}
  {{- end }}
  {{- with .Values.gateway.cache.redis }}
  {{- if .url }}
  cache:
    redis:
      url: {{ .url | quote }}
      {{- with .secretName }}
      secretName: {{ . }}
      {{- end }}
      {{- with .caSecretName }}
      caSecretName: {{ . }}
      {{- end }}
  {{- end }}
  {{- end }}
logLevel: {{ .Values.logLevel }}
{{- end -}}
