{{- define "rollproof.labels" -}}
app.kubernetes.io/name: rollproof
app.kubernetes.io/component: rollouts-controller
app.kubernetes.io/part-of: rollproof
{{- end }}
