package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

// nodes plays the kubelets of a cluster without nodes: a pod becomes ready READY_DELAY after its
// creation, one with an image that contains "bad" never does, and the pod of a Job runs its command
// as a process of this machine.
type nodes struct {
	client  kubernetes.Interface
	delay   time.Duration
	known   sync.Map // UIDs of pods that were taken up
	address atomic.Uint32
}

func serveNodes(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 2000, 2000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	n := &nodes{client: client, delay: 500 * time.Millisecond}
	if text := os.Getenv("READY_DELAY"); text != "" {
		if n.delay, err = time.ParseDuration(text); err != nil {
			return err
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { n.see(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { n.see(object.(*corev1.Pod)) },
	})
	if err != nil {
		return err
	}
	factory.Start(make(chan struct{}))
	select {}
}

func (n *nodes) see(pod *corev1.Pod) {
	waiting := pod.Status.Phase == "" || pod.Status.Phase == corev1.PodPending
	if !waiting || pod.DeletionTimestamp != nil {
		return
	}
	if _, known := n.known.LoadOrStore(pod.UID, nil); !known {
		go n.run(pod.DeepCopy())
	}
}

// run takes one pod through its life.
func (n *nodes) run(pod *corev1.Pod) {
	container := pod.Spec.Containers[0]
	if strings.Contains(container.Image, "bad") {
		waiting := &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}
		n.report(pod, corev1.PodPending, corev1.ContainerState{Waiting: waiting})
		return
	}
	time.Sleep(n.delay)
	running := &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
	n.report(pod, corev1.PodRunning, corev1.ContainerState{Running: running})
	if pod.Spec.RestartPolicy != corev1.RestartPolicyNever && pod.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return
	}
	code := n.execute(pod, append(append([]string{}, container.Command...), container.Args...))
	ended := &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: "Completed", FinishedAt: metav1.Now()}
	phase := corev1.PodSucceeded
	if code != 0 {
		ended.Reason, phase = "Error", corev1.PodFailed
	}
	n.report(pod, phase, corev1.ContainerState{Terminated: ended})
}

// execute gives the exit code of a command, which is killed when its pod goes.
func (n *nodes) execute(pod *corev1.Pod, command []string) int {
	if len(command) == 0 {
		return 0
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			time.Sleep(500 * time.Millisecond)
			_, err := n.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			if errors.IsNotFound(err) {
				cancel()
			}
		}
	}()
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	if err := process.Run(); err != nil && process.ProcessState == nil {
		return 127
	}
	return process.ProcessState.ExitCode()
}

// report writes the status of a pod whose containers are all in this state.
func (n *nodes) report(pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	ready := state.Running != nil
	now := metav1.Now()
	truth := corev1.ConditionFalse
	if ready {
		truth = corev1.ConditionTrue
	}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: now}
	}
	count := n.address.Add(1)
	ip := fmt.Sprintf("10.%d.%d.%d", 128+count>>16&127, count>>8&255, count&255)
	status := corev1.PodStatus{
		Phase: phase, StartTime: &now, HostIP: "10.0.0.1", PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{
			condition(corev1.PodScheduled, corev1.ConditionTrue),
			condition(corev1.PodInitialized, corev1.ConditionTrue),
			condition(corev1.ContainersReady, truth),
			condition(corev1.PodReady, truth),
		},
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: ready, Started: &ready, State: state,
		})
	}
	pods := n.client.CoreV1().Pods(pod.Namespace)
	always := func(error) bool { return true }
	// While the API server restarts, writes fail for some seconds.
	patience := retry.DefaultBackoff
	patience.Steps, patience.Cap = 40, time.Second
	err := retry.OnError(patience, always, func() error {
		current, err := pods.Get(context.Background(), pod.Name, metav1.GetOptions{})
		if errors.IsNotFound(err) || err == nil && current.UID != types.UID(pod.UID) {
			return nil
		}
		if err != nil {
			return err
		}
		current.Status = status
		_, err = pods.UpdateStatus(context.Background(), current, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, pod.Namespace, pod.Name, err)
	}
}
