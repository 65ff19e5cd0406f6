package wire

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSecurityFlags(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(dir, "default", "token"))
	load := func(daemon bool, args ...string) (Security, error) {
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
	if err != nil || len(made.Token) != 2*tokenBytes {
		t.Errorf("a daemon's token is %q, %v", made.Token, err)
	}
	if again, err := load(false); err != nil || again.Token != made.Token {
		t.Errorf("a client's token is %q, %v, the daemon's is %q", again.Token, err, made.Token)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte(NewToken()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := load(false, "--token-file", other); !errors.Is(err, ErrInsecure) {
		t.Errorf("a file that others may read: %v", err)
	}
	if _, err := load(false, "--tls-ca", "ca.pem"); !errors.Is(err, ErrInsecure) {
		t.Errorf("one TLS file alone: %v", err)
	}
}
