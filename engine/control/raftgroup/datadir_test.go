package raftgroup

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

func TestDataDirIsChecked(t *testing.T) {
	base := Config{ID: "a", Peers: Peers{"a": "127.0.0.1:0"}, Security: securitytest.Token(), Timing: DefaultTiming(), Log: slog.New(slog.DiscardHandler)}
	open := func(c Config) error {
		n, err := Open(t.Context(), c)
		if err == nil {
			err = n.Close()
		}
		return err
	}
	used := t.TempDir()
	base.DataDir = used
	if err := open(base); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(c *Config)
		want   error
		says   string
	}{
		{"the same again", func(*Config) {}, nil, ""},
		{"another node's", func(c *Config) { c.ID, c.Peers = "b", Peers{"b": "127.0.0.1:0"} }, ErrDataDir, `belongs to driver "a"`},
		{"another group's", func(c *Config) { c.Peers = Peers{"a": "127.0.0.1:0", "z": "127.0.0.1:1"} }, ErrPeers, "the data directory is of a cluster of a, --peers names a, z; addresses may change, the ids not; it has joined none yet: if"},
		{"not in the group", func(c *Config) { c.ID = "q" }, ErrPeers, `this driver, "q"`},
		{"off loopback", func(c *Config) { c.Peers = Peers{"a": "0.0.0.0:0"} }, wire.ErrInsecure, "mutual TLS"},
		{"no token", func(c *Config) { c.Security = security.Security{} }, wire.ErrInsecure, "token"},
		{"of others", func(c *Config) {
			c.DataDir = t.TempDir()
			if err := os.Chmod(c.DataDir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, wire.ErrInsecure, "has mode 0777"},
		{"a file", func(c *Config) { c.DataDir = filepath.Join(used, "identity.json") }, ErrDataDir, "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := base
			tt.change(&c)
			err := open(c)
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v doesn't say %q", err, tt.says)
			}
		})
	}
	d, err := OpenDataDir(used, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := open(base); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "another engine-driver") {
		t.Errorf("in use: %v", err)
	}
	if err := d.learn("x", nil); err != nil {
		t.Fatal(err)
	}
	if err := d.learn("y", nil); !errors.Is(err, wire.ErrOtherCluster) {
		t.Errorf("another cluster: %v", err)
	}
	if err := os.WriteFile(d.identityFile(), []byte(`{"format":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = d.lock.Close()
	if err := open(base); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("another format: %v", err)
	}
}
