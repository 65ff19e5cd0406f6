package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// certificates runs engine-submit certs.
func certificates(t *testing.T, args ...string) (out string) {
	t.Helper()
	s := around(0)
	if code := run(&s.process, append([]string{"certs"}, args...)); code != exitOK {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	return s.out.String() + s.err.String()
}

// load returns the security that the flags for a machine give.
func load(t *testing.T, dir, machine string) security.Security {
	t.Helper()
	s, err := security.LoadTLS(wire.TLSFiles{
		CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, machine+".pem"), Key: filepath.Join(dir, machine+"-key.pem"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve serves nothing but a handshake.
func serve(t *testing.T, s security.Security) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(s)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	return l.Addr().String()
}

// shakeHands reports what a client hears of a server, which doesn't know of any
// service.
func shakeHands(t *testing.T, address string, s security.Security) string {
	t.Helper()
	c, err := client.New(client.Config{Master: address, Security: s, Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Leader(context.Background())
	return err.Error()
}

// greeted is what a client hears of that server when it was let in.
const greeted = "unknown service"

// greeting is shakeHands of a client that is to be let in: on a busy machine it is slow at times.
func greeting(t *testing.T, address string, s security.Security) (said string) {
	t.Helper()
	for range 10 {
		if said = shakeHands(t, address, s); strings.Contains(said, greeted) {
			break
		}
	}
	return said
}

func TestCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	out := certificates(t, dir, "--host", "node1+10.0.0.1,node2")
	if want := "--tls-cert " + filepath.Join(dir, "node2.pem"); !strings.Contains(out, want) {
		t.Errorf("it doesn't say %q:\n%s", want, out)
	}
	for file, mode := range map[string]os.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "node1.pem": 0o644, "node1-key.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; expected mode %v", file, info.Mode(), err, mode)
		}
	}
	server := serve(t, load(t, dir, "node1"))
	if said := greeting(t, server, load(t, dir, "node2")); !strings.Contains(said, greeted) {
		t.Errorf("machines of one cluster: %s", said)
	}
	// Another machine, later.
	if out := certificates(t, "--host", "node1,node3", dir); !strings.Contains(out, "node1.pem is there already and stays") {
		t.Errorf("made again:\n%s", out)
	}
	if said := greeting(t, server, load(t, dir, "node3")); !strings.Contains(said, greeted) {
		t.Errorf("a machine that came later: %s", said)
	}
	t.Chdir(dir)
	if s := load(t, ".", "node1"); s.Files.Key != filepath.Join(dir, "node1-key.pem") {
		t.Errorf("the key's path is %s, which processes in other directories don't find", s.Files.Key)
	}
	other := t.TempDir()
	certificates(t, other)
	if said := shakeHands(t, server, load(t, other, "localhost")); strings.Contains(said, greeted) {
		t.Errorf("a machine of another cluster was let in: %s", said)
	}
	if said := shakeHands(t, server, security.Security{}.WithToken(security.NewToken())); strings.Contains(said, greeted) {
		t.Errorf("somebody without a certificate was let in: %s", said)
	}
}

func TestCertificatesRefuse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("no certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args, says string
		code       int
	}{
		{"certs", "DIR is missing", exitUsage},
		{"certs x --days 0", "not from 1 to 3650", exitUsage},
		{"certs x --host ../evil", "is no name of a machine", exitUsage},
		{"certs x --host a,,b", "is no name of a machine", exitUsage},
		{"certs x --host a,a", `"a" is taken`, exitUsage},
		{"certs x --host ca", `"ca" is taken`, exitUsage},
		{"certs " + dir, "reading the certificate authority in " + dir, exitFailed},
	} {
		s := around(0)
		if code := run(&s.process, strings.Fields(x.args)); code != x.code || !strings.Contains(s.err.String(), x.says) {
			t.Errorf("%s: exit code %d: %s; expected %d and %q", x.args, code, s.err.String(), x.code, x.says)
		}
	}
}
