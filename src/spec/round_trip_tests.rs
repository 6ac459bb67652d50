//! Whole objects survive reading and writing.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::analysis::AnalysisRun;
use super::decode::decode;
use super::experiment::Experiment;
use super::rollout::Rollout;

fn assert_round_trip<T: DeserializeOwned + Serialize>(text: &str) {
    let tree: Value = serde_json::from_str(text).unwrap();
    let object: T = decode(tree.clone()).unwrap();
    assert_eq!(serde_json::to_value(object).unwrap(), tree);
}

#[test]
fn rollout() {
    assert_round_trip::<Rollout>(
        r##"{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "r", "namespace": "n", "generation": 3, "uid": "u",
            "creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"a": "b"}, "managedFields": []},
        "spec": {
            "replicas": 0, "revisionHistoryLimit": 3, "paused": true, "progressDeadlineAbort": true,
            "restartAt": "2024-01-02T00:00:00Z", "rollbackWindow": {"revisions": 2},
            "analysis": {"successfulRunHistoryLimit": 1},
            "selector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            "strategy": {"canary": {
                "canaryService": "c", "stableService": "s", "maxSurge": "25%", "maxUnavailable": 0,
                "scaleDownDelaySeconds": 5, "abortScaleDownDelaySeconds": 0, "dynamicStableScale": true,
                "minPodsPerReplicaSet": 2, "replicaProgressThreshold": {"type": "Percent", "value": 90},
                "pingPong": {"pingService": "a", "pongService": "b"},
                "antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}},
                "canaryMetadata": {"labels": {"role": "canary"}},
                "analysis": {"startingStep": 1, "templates": [{"templateName": "t", "clusterScope": true}],
                    "args": [{"name": "x", "valueFrom": {"podTemplateHashValue": "Latest"}}]},
                "trafficRouting": {
                    "maxTrafficWeight": 1000, "managedRoutes": [{"name": "h"}], "plugins": {"p/x": {"any": [1, "b"]}},
                    "istio": {"virtualServices": [{"name": "v", "routes": ["r"], "tlsRoutes": [{"port": 443, "sniHosts": ["h"]}], "tcpRoutes": [{"port": 1}]}],
                        "destinationRule": {"name": "d", "canarySubsetName": "c", "stableSubsetName": "s"}},
                    "nginx": {"stableIngresses": ["i"], "annotationPrefix": "x.io", "canaryIngressAnnotations": {"a": "b"}},
                    "alb": {"ingress": "i", "servicePort": 80, "rootService": "r", "stickinessConfig": {"enabled": true, "durationSeconds": 10}},
                    "smi": {"trafficSplitName": "t"}, "ambassador": {"mappings": ["m"]},
                    "appMesh": {"virtualService": {"name": "v"}, "virtualNodeGroup": {"canaryVirtualNodeRef": {"name": "c"}, "stableVirtualNodeRef": {"name": "s"}}},
                    "traefik": {"weightedTraefikServiceName": "w"}, "apisix": {"route": {"name": "r", "rules": ["x"]}}
                },
                "steps": [
                    {"setWeight": 0}, {"pause": {}}, {"pause": {"duration": 60}}, {"pause": {"duration": "1m"}},
                    {"setCanaryScale": {"weight": 5}}, {"setCanaryScale": {"matchTrafficWeight": true}},
                    {"setHeaderRoute": {"name": "h", "match": [{"headerName": "H", "headerValue": {"exact": "1"}}]}},
                    {"setMirrorRoute": {"name": "m", "percentage": 10, "match": [{"method": {"exact": "GET"}, "headers": {"a": {"regex": "b"}}}]}},
                    {"plugin": {"name": "p", "config": {"a": 1}}},
                    {"analysis": {"templates": [{"templateName": "t"}], "dryRun": [{"metricName": ".*"}], "measurementRetention": [{"metricName": "m", "limit": 2}]}},
                    {"experiment": {"duration": "5m", "analysisRunMetadata": {}, "templates": [
                        {"name": "x", "specRef": "canary", "metadata": {}, "replicas": 1, "weight": 5, "service": {"name": "q"}}],
                        "analyses": [{"name": "a", "templateName": "t", "requiredForCompletion": true, "args": [{"name": "y", "value": "z"}]}]}}
                ]
            }}
        },
        "status": {
            "HPAReplicas": 1, "abort": true, "abortedAt": "2024-01-01T00:00:00Z", "stableRS": "h",
            "phase": "Paused", "currentStepIndex": 0, "observedGeneration": "3", "controllerPause": true,
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2024-01-01T00:00:00Z"}],
            "conditions": [{"type": "Healthy", "status": "False", "lastUpdateTime": "2024-01-01T00:00:00Z",
                "lastTransitionTime": "2024-01-01T00:00:00Z", "reason": "R", "message": "m"}],
            "canary": {
                "currentStepAnalysisRunStatus": {"name": "x", "status": ""},
                "weights": {"canary": {"weight": 0}, "stable": {"weight": 100, "serviceName": "s", "podTemplateHash": "h"}, "verified": false},
                "stablePingPong": "pong",
                "stepPluginStatuses": [{"index": 0, "name": "p", "operation": "Run", "phase": "Running", "backoff": "30s", "executions": 1, "status": {"x": 1}}]
            },
            "blueGreen": {"activeSelector": "h", "scaleUpPreviewCheckPoint": true},
            "alb": {"loadBalancer": {"name": "", "arn": "", "fullName": ""}, "canaryTargetGroup": {"name": "a", "arn": "b", "fullName": "c"},
                "stableTargetGroup": {"name": "", "arn": "", "fullName": ""}},
            "duration": {"rolloutStartedAt": "2024-01-01T00:00:00Z", "totalManualPauseDurationSeconds": 0, "completionStatus": "Promoted"}
        }
    }"##,
    );
}

#[test]
fn analysis_run() {
    assert_round_trip::<AnalysisRun>(
        r##"{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "a", "ownerReferences": [{"apiVersion": "v", "kind": "Rollout", "name": "r", "uid": "u", "controller": true}]},
        "spec": {
            "terminate": true, "ttlStrategy": {"secondsAfterCompletion": 0},
            "args": [{"name": "a", "value": ""}, {"name": "s", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}}],
            "dryRun": [{"metricName": "*"}], "measurementRetention": [{"metricName": "*", "limit": 3}],
            "metrics": [
                {"name": "p", "interval": "5s", "initialDelay": "1m", "count": "{{args.n}}", "failureLimit": -1, "inconclusiveLimit": 0,
                 "consecutiveErrorLimit": 1, "consecutiveSuccessLimit": 2, "successCondition": "result[0] > 1", "failureCondition": "false",
                 "provider": {"prometheus": {"address": "http://p", "query": "up", "timeout": 5, "insecure": true, "authentication": {"sigv4": {}, "oauth2": {}, "basicAuth": {}},
                    "headers": [{"key": "k", "value": "v"}], "rangeQuery": {"start": "now()", "end": "now()", "step": "1m"}}}},
                {"name": "w", "provider": {"web": {"url": "u", "method": "POST", "jsonBody": {"a": 1}, "jsonPath": "{$.x}", "timeoutSeconds": 3, "authentication": {"sigv4": {}, "oauth2": {}, "basicAuth": {}}}}},
                {"name": "j", "provider": {"job": {"metadata": {"labels": {"a": "b"}}, "spec": {"backoffLimit": 1, "template": {"spec": {}}}}}},
                {"name": "d", "provider": {"datadog": {"queries": {"a": "b"}, "formula": "a", "apiVersion": "v2", "aggregator": "sum", "interval": "5m", "secretRef": {"name": "s", "namespaced": true}}}},
                {"name": "n", "provider": {"newRelic": {"query": "q", "timeout": 3}}},
                {"name": "v", "provider": {"wavefront": {"query": "q"}}},
                {"name": "g", "provider": {"graphite": {"query": "q"}}},
                {"name": "i", "provider": {"influxdb": {"query": "q", "profile": "p"}}},
                {"name": "y", "provider": {"skywalking": {"query": "q", "interval": "1m"}}},
                {"name": "c", "provider": {"cloudWatch": {"interval": "1m", "metricDataQueries": [{"id": "i", "returnData": false, "period": 60,
                    "metricStat": {"metric": {"metricName": "m", "dimensions": [{"name": "n", "value": "v"}]}, "period": "60", "stat": "Sum"}}]}}},
                {"name": "k", "provider": {"kayenta": {"address": "a", "application": "b", "canaryConfigName": "c", "metricsAccountName": "", "configurationAccountName": "",
                    "storageAccountName": "", "threshold": {"pass": 90, "marginal": 70},
                    "scopes": [{"name": "n", "controlScope": {"scope": "s", "region": "r", "step": 60, "start": "x"}, "experimentScope": {"scope": "s", "region": "r", "step": 60}}]}}},
                {"name": "x", "provider": {"plugin": {"a/b": {"c": [1.5]}}}}
            ]
        },
        "status": {
            "phase": "Running", "startedAt": "2024-01-01T00:00:00.5Z", "runSummary": {"count": 1, "error": 1}, "dryRunSummary": {},
            "metricResults": [{"name": "p", "phase": "Running", "count": 1, "successful": 1, "consecutiveSuccess": 1, "dryRun": true, "metadata": {"q": "up"},
                "measurements": [{"phase": "Successful", "value": "[1]", "startedAt": "2024-01-01T00:00:00Z", "finishedAt": "2024-01-01T00:00:00Z", "resumeAt": "2024-01-01T00:00:00Z"}]}]
        }
    }"##,
    );
}

#[test]
fn experiment() {
    assert_round_trip::<Experiment>(
        r##"{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "e"},
        "spec": {
            "duration": "10m", "progressDeadlineSeconds": 60, "scaleDownDelaySeconds": 0, "terminate": true, "analysisRunMetadata": {"labels": {"a": "b"}},
            "templates": [{"name": "t", "replicas": 1, "minReadySeconds": 3, "selector": {"matchLabels": {"a": "b"}},
                "template": {"spec": {"containers": []}}, "service": {}}],
            "analyses": [{"name": "a", "templateName": "t", "clusterScope": false, "requiredForCompletion": true, "args": [{"name": "x"}]}]
        },
        "status": {
            "phase": "Running", "availableAt": "2024-01-01T00:00:00Z",
            "templateStatuses": [{"name": "t", "replicas": 1, "updatedReplicas": 1, "readyReplicas": 0, "availableReplicas": 0, "status": "Progressing", "podTemplateHash": "h"}],
            "conditions": [{"type": "Progressing", "status": "True", "lastUpdateTime": "2024-01-01T00:00:00Z", "lastTransitionTime": "2024-01-01T00:00:00Z", "reason": "r", "message": "m"}],
            "analysisRuns": [{"name": "a", "analysisRun": "e-a", "phase": "Pending"}]
        }
    }"##,
    );
}
