package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
)

// certificate writes a certificate of an authority that is the machine itself,
// and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// What is wrong is said once, in one line.
func TestWrongUse(t *testing.T) {
	cert, key := certificate(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	data := t.TempDir()
	start := "--id a --data " + data + " --master "
	tls := " --tls-ca " + cert + " --tls-cert " + cert + " --tls-key " + key
	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"--help", 0, "An executor of a Hibana cluster"},
		{"--help", 0, "Exit status: 0 after a signal"},
		{"-h", 0, "\n  --master addresses\n"},
		{"help", 0, "An executor of a Hibana cluster"},
		{"--version", 0, "engine-executor: "},
		{"", cli.ExitUsage, "--id is missing"},
		{"--nope", cli.ExitUsage, "unknown flag --nope"},
		{"--slots many", cli.ExitUsage, `invalid value "many" for flag --slots: it takes a whole number`},
		{"--id a", cli.ExitUsage, "--master is missing"},
		{"--id a --master b:1", cli.ExitUsage, "--data is missing"},
		{start + "b:1 c", cli.ExitUsage, `it takes no argument "c"`},
		{start + "b:1 --log-level no", cli.ExitUsage, "log-level"},
		{start + "foo", cli.ExitUsage, `engine-executor: --master: address "foo": missing port in address; it takes host:port`},
		{start + "127.0.0.1:1 --slots 0", cli.ExitUsage, "0 slots"},
		{start + "127.0.0.1:1 --listen :0", cli.ExitUsage, "it must name a host of this machine"},
		{start + "127.0.0.1:1 --listen localhost", cli.ExitUsage, `--listen "localhost": it takes host:port, e.g. 127.0.0.1:0`},
		{start + "127.0.0.1:1 --listen localhost:", cli.ExitUsage, `address "localhost:": missing port in address; it takes host:port`},
		{start + "127.0.0.1:1 --metrics localhost", cli.ExitUsage, `--metrics: address "localhost": missing port in address; it takes host:port`},
		{start + "127.0.0.1:", cli.ExitUsage, `--master: address "127.0.0.1:": missing port in address; it takes host:port`},
		{start + "127.0.0.1:1 --tls-ca " + cert, cli.ExitUsage, "takes --tls-ca, --tls-cert and --tls-key"},
		{start + "192.0.2.2:1", cli.ExitFailed, "takes mutual TLS"},
		{start + "127.0.0.1:1,192.0.2.2:1" + tls, cli.ExitUsage, "127.0.0.1:0 can't be reached from other machines, and the engine-driver 192.0.2.2:1 may be on one; give --listen HOST:0"},
		{start + "127.0.0.1:1 --listen " + taken.Addr().String(), cli.ExitFailed, `perhaps a second executor "a", has the port`},
		{"--id b --data " + data + " --master 127.0.0.1:1 --listen " + taken.Addr().String(), cli.ExitFailed, `perhaps a second executor "b"`}, // the directory is nobody's yet
	} {
		t.Run(x.args, func(t *testing.T) {
			var out strings.Builder
			if code := run(t.Context(), strings.Fields(x.args), &out, &out); code != x.code || !strings.Contains(out.String(), x.says) {
				t.Errorf("exit status %d, expected %d and %q:\n%s", code, x.code, x.says, out.String())
			}
			if lines := strings.Count(out.String(), "\n"); x.code != 0 && lines != 1 {
				t.Errorf("%d lines:\n%s", lines, out.String())
			}
		})
	}
}
