package cli

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

func TestSecurityFlags(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(dir, "default", "token"))
	load := func(daemon bool, args ...string) (security.Security, error) {
		t.Helper()
		var s SecurityFlags
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		s.AddTo(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return s.Load(daemon)
	}
	if _, err := load(false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a client without a token file: %v", err)
	}
	made, err := load(true)
	if err != nil || made.CheckListen("127.0.0.1:0") != nil {
		t.Fatalf("a daemon's: %v, %v", err, made.CheckListen("127.0.0.1:0"))
	}
	again, err := load(false)
	if err == nil {
		err = rpctest.Attach(rpctest.Dial(t, rpctest.Serve(t, made, rpctest.Echo), again))
	}
	if err != nil {
		t.Errorf("a client with the daemon's token: %v", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte(security.NewToken()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := load(false, "--token-file", other); !errors.Is(err, wire.ErrInsecure) {
		t.Errorf("a file that others may read: %v", err)
	}
	if _, err := load(false, "--tls-ca", "ca.pem"); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("one TLS file alone: %v", err)
	}
	if _, err := load(true, "--tls-ca", "ca.pem", "--token-file", other); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("certificates and a token: %v", err)
	}
}
