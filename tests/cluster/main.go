// A Kubernetes control plane for tests in one program: etcd, kube-apiserver and
// kube-controller-manager are ordinary Go modules, nodes are played by a small kubelet.
//
//	cluster up DIR     serves until its standard input closes; see up.go
//	cluster COMPONENT  one component, as "up" starts it
//
// KUBEBUILDER_ASSETS may name a folder with binaries of components to use instead.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	command := os.Args[1]
	os.Args = os.Args[1:]
	switch command {
	case "up":
		if len(os.Args) != 2 {
			usage()
		}
		if err := up(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
			os.Exit(1)
		}
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(manager.NewControllerManagerCommand()))
	case "kubelet":
		if len(os.Args) != 2 {
			usage()
		}
		if err := serveNodes(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "kubelet:", err)
			os.Exit(1)
		}
	default:
		usage()
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: cluster up DIR | etcd|kube-apiserver|kube-controller-manager ARGUMENTS | kubelet KUBECONFIG")
	os.Exit(2)
}
