package main

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/util/cert"
)

// writers are users beside "admin" who may do all, so that the audit log tells controllers apart.
const writers = 4

// plane is a running control plane, with its files in one folder.
type plane struct {
	folder    string
	ports     map[string]int
	faults    *faults
	processes map[string]*exec.Cmd
}

// up starts all components, says "ready" with the paths of two kubeconfigs (straight, and through the
// faults of proxy.go), and obeys commands, a line each, until standard input closes:
//
//	restart COMPONENT   ends it as kill -9 does and starts it again
//	fault ...           see faults.command
//
// Each command is answered by "done", or "failed: ..." in words.
func up(folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	p := &plane{folder: folder, ports: map[string]int{}, faults: newFaults(), processes: map[string]*exec.Cmd{}}
	defer p.stop()
	for _, use := range []string{"client", "peer", "api", "manager"} {
		if p.ports[use], err = freePort(); err != nil {
			return err
		}
	}
	if err := p.writeFiles(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	target, err := url.Parse(p.server())
	if err != nil {
		return err
	}
	// Clients send their tokens over TLS only.
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return err
	}
	proxy := http.Server{Handler: p.faults.proxy(target), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go func() { _ = proxy.ServeTLS(listener, "", "") }()
	through := "https://" + listener.Addr().String()
	for name, server := range map[string]string{"kubeconfig": p.server(), "kubeconfig-faults": through} {
		if err := p.writeKubeconfig(name, server, "admin"); err != nil {
			return err
		}
	}
	for i := range writers {
		user := fmt.Sprintf("writer-%d", i)
		if err := p.writeKubeconfig("kubeconfig-"+user, through, user); err != nil {
			return err
		}
	}
	for _, component := range []string{"etcd", "kube-apiserver"} {
		if err := p.start(component); err != nil {
			return err
		}
	}
	if err := p.await(); err != nil {
		return err
	}
	for _, component := range []string{"kube-controller-manager", "kubelet"} {
		if err := p.start(component); err != nil {
			return err
		}
	}
	fmt.Println("ready", p.file("kubeconfig"), p.file("kubeconfig-faults"))
	return p.obey(os.Stdin)
}

func (p *plane) obey(commands io.Reader) error {
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		var err error
		switch {
		case len(words) == 2 && words[0] == "restart":
			err = p.restart(words[1])
		case len(words) > 1 && words[0] == "fault":
			err = p.faults.command(words[1:])
		default:
			err = fmt.Errorf("no such command: %q", lines.Text())
		}
		if err != nil {
			fmt.Println("failed:", err)
		} else {
			fmt.Println("done")
		}
	}
	return lines.Err()
}

func (p *plane) restart(component string) error {
	process, running := p.processes[component]
	if !running {
		return fmt.Errorf("no such component: %s", component)
	}
	_ = process.Process.Kill()
	_ = process.Wait()
	if err := p.start(component); err != nil {
		return err
	}
	return p.await()
}

// start runs a component as a process of its own, which ends with this one.
func (p *plane) start(component string) error {
	var arguments []string
	at := func(use string) string { return fmt.Sprintf("http://127.0.0.1:%d", p.ports[use]) }
	switch component {
	case "etcd":
		arguments = []string{
			"--data-dir", p.file("etcd"), "--log-level", "warn", "--unsafe-no-fsync",
			"--listen-client-urls", at("client"), "--advertise-client-urls", at("client"),
			"--listen-peer-urls", at("peer"), "--initial-advertise-peer-urls", at("peer"),
			"--initial-cluster", "default=" + at("peer"),
		}
	case "kube-apiserver":
		arguments = []string{
			"--etcd-servers", at("client"), "--cert-dir", p.file("certificates"),
			"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(p.ports["api"]),
			"--advertise-address", "10.0.0.1", "--endpoint-reconciler-type", "none",
			"--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC",
			"--token-auth-file", p.file("tokens.csv"), "--disable-admission-plugins", "ServiceAccount",
			"--service-account-issuer", "https://kubernetes.default.svc",
			"--service-account-key-file", p.file("accounts.pub"),
			"--service-account-signing-key-file", p.file("accounts.key"),
			"--audit-policy-file", p.file("audit.yaml"), "--audit-log-path", p.file("audit.log"),
		}
	case "kube-controller-manager":
		arguments = []string{
			"--kubeconfig", p.file("kubeconfig"), "--leader-elect=false",
			"--controllers", "deployment-controller,replicaset-controller,job-controller," +
				"garbage-collector-controller,namespace-controller,serviceaccount-controller," +
				"endpointslice-controller,disruption-controller",
			"--service-account-private-key-file", p.file("accounts.key"),
			"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(p.ports["manager"]),
			"--kube-api-qps", "500", "--kube-api-burst", "1000",
		}
	case "kubelet":
		arguments = []string{p.file("kubeconfig")}
	default:
		return fmt.Errorf("no such component: %s", component)
	}
	process, err := command(component, arguments)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.file(component+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return err
	}
	p.processes[component] = process
	return nil
}

// command is the component from KUBEBUILDER_ASSETS where it is there, or else from this binary.
func command(component string, arguments []string) (*exec.Cmd, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		binary := filepath.Join(assets, component)
		if _, err := os.Stat(binary); err == nil {
			return exec.Command(binary, arguments...), nil
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, append([]string{component}, arguments...)...), nil
}

// await returns when the API server is ready.
func (p *plane) await() error {
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	request, err := http.NewRequest(http.MethodGet, p.server()+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer admin-token")
	for range 600 {
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the API server is not ready after a minute; see %s", p.file("kube-apiserver.log"))
}

func (p *plane) stop() {
	for _, process := range p.processes {
		_ = process.Process.Kill()
		_ = process.Wait()
	}
}

func (p *plane) file(name string) string { return filepath.Join(p.folder, name) }

func (p *plane) server() string { return fmt.Sprintf("https://127.0.0.1:%d", p.ports["api"]) }

// writeFiles makes a fresh state: keys, users, and what is audited (every write, by whom).
func (p *plane) writeFiles() error {
	for _, old := range []string{"etcd", "audit.log"} {
		if err := os.RemoveAll(p.file(old)); err != nil {
			return err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	tokens := "admin-token,admin,admin,system:masters\n"
	for i := range writers {
		tokens += fmt.Sprintf("writer-%d-token,writer-%d,writer-%d,system:masters\n", i, i, i)
	}
	files := map[string][]byte{
		"accounts.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"accounts.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"tokens.csv":   []byte(tokens),
		"audit.yaml": []byte(`apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`),
	}
	for name, content := range files {
		if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (p *plane) writeKubeconfig(name, server, user string) error {
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: %s, user: {token: %s-token}}]
contexts: [{name: test, context: {cluster: test, user: %s, namespace: default}}]
current-context: test
`, server, user, user, user)
	return os.WriteFile(p.file(name), []byte(content), 0o600)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
