{{/* What all is called. A release of the chart's own name is not called raft-raft. */}}
{{- define "raft.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What pods are found by: never changes in the life of a release. */}}
{{- define "raft.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "raft.labels" -}}
{{ include "raft.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "raft.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "raft.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "raft.clientScheme" -}}
{{- if .Values.tls.client.secret }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "raft.peerScheme" -}}
{{- if .Values.tls.peer.secret }}https{{ else }}http{{ end -}}
{{- end -}}

{{/* The name under which a pod is reached, without the pod's own name. */}}
{{- define "raft.domain" -}}
{{- printf "%s-members.%s.svc" (include "raft.name" .) .Release.Namespace -}}
{{- end -}}

{{/* All founders as name=url,name=url: the pods of the set by their ordinals. */}}
{{- define "raft.initialCluster" -}}
{{- $name := include "raft.name" . -}}
{{- $domain := include "raft.domain" . -}}
{{- $scheme := include "raft.peerScheme" . -}}
{{- $port := int .Values.ports.peer -}}
{{- range $i := until (int .Values.replicas) -}}
{{- if $i }},{{ end -}}
{{- printf "%s-%d=%s://%s-%d.%s:%d" $name $i $scheme $name $i $domain $port -}}
{{- end -}}
{{- end -}}

{{/* Whoever probes has no certificate: where one is needed on the client port, it asks elsewhere. */}}
{{- define "raft.probePort" -}}
{{- if and .Values.tls.client.secret .Values.tls.client.certAuth }}metrics{{ else }}client{{ end -}}
{{- end -}}

{{- define "raft.probeScheme" -}}
{{- if eq (include "raft.probePort" .) "metrics" -}}
HTTP
{{- else -}}
{{- include "raft.clientScheme" . | upper -}}
{{- end -}}
{{- end -}}
