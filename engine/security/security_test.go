package security_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

func TestLoadTLS(t *testing.T) {
	files := securitytest.NewAuthority(t).Node(t, "127.0.0.1", time.Now().Add(time.Hour)).Files
	notPEM := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(notPEM, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]wire.TLSFiles{
		"two of three":    {CA: files.CA, Cert: files.Cert},
		"missing file":    {CA: files.CA + "?", Cert: files.Cert, Key: files.Key},
		"CA isn't PEM":    {CA: notPEM, Cert: files.Cert, Key: files.Key},
		"key isn't PEM":   {CA: files.CA, Cert: files.Cert, Key: notPEM},
		"key of the cert": {CA: files.CA, Cert: files.CA, Key: files.Key},
		"another's CA":    {CA: securitytest.NewAuthority(t).Node(t, "127.0.0.1", time.Now().Add(time.Hour)).Files.CA, Cert: files.Cert, Key: files.Key},
	} {
		if _, err := security.LoadTLS(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o400: nil, 0o644: wire.ErrInsecure, 0o640: wire.ErrInsecure, 0o620: wire.ErrInsecure} {
		if err := os.Chmod(files.Key, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := security.LoadTLS(files); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a key of mode %o: %v", mode, err)
		}
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deep", "token")
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens { // started together, they agree
		wg.Go(func() { tokens[i], _ = security.LoadToken(path) })
	}
	wg.Wait()
	for _, tok := range tokens {
		if tok != tokens[0] || len(tok) != 64 {
			t.Fatalf("tokens %q", tokens)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o660, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := security.LoadToken(path); !errors.Is(err, wire.ErrInsecure) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for name, contents := range map[string]string{"empty": "", "short": "abcd\n", "words": strings.Repeat("word", 16), "long": strings.Repeat("a", 66)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
		if tok, err := security.LoadToken(path); err == nil {
			t.Errorf("%s: token %q", name, tok)
		}
	}
}
