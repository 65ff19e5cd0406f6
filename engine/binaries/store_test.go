package binaries

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// put stores a program.
func put(t *testing.T, s *Store, content []byte) (digest string) {
	t.Helper()
	digest = sha(content)
	w, err := s.Create(digest, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestProgramsAreVerified(t *testing.T) {
	digest := sha([]byte("a program"))
	tests := []struct {
		name, digest string
		size         int64
		sent         string
		want         error
	}{
		{"whole", digest, 9, "a program", nil},
		{"another content", digest, 9, "a progrem", wire.ErrBinary},
		{"too short", digest, 9, "a pro", wire.ErrBinary},
		{"too long", digest, 5, "a program", wire.ErrBinary},
		{"a path for a digest", "../../etc/passwd", 9, "", wire.ErrInvalid},
		{"upper case", strings.ToUpper(digest), 9, "", wire.ErrInvalid},
		{"empty", sha(nil), 0, "", wire.ErrTooLarge},
		{"huge", digest, MaxSize + 1, "", wire.ErrTooLarge},
	}
	for _, tt := range tests {
		for name, open := range map[string]func(string) (*Store, error){"store": Open, "cache": OpenCache} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				s, err := open(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				w, err := s.Create(tt.digest, tt.size)
				if err == nil {
					if _, err = w.Write([]byte(tt.sent)); err == nil {
						err = w.Commit()
					} else {
						w.Abort()
					}
				}
				if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				left, _ := os.ReadDir(s.dir)
				if (len(left) == 1) != (err == nil) || s.Has(tt.digest) != (err == nil) {
					t.Errorf("%d files are left", len(left))
				}
				if err != nil {
					return
				}
				if info, err := os.Stat(s.Path(tt.digest)); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("the program's mode: %v, %v", info.Mode(), err)
				}
			})
		}
	}
}

func TestSweep(t *testing.T) {
	s, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	used, unused := put(t, s, []byte("used")), put(t, s, []byte("unused"))
	half, err := s.Create(sha([]byte("half")), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Abort()
	part := s.Path(used) + partSuffix // that of a program in use stays
	if err := os.WriteFile(part, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	keep := map[string]bool{used: true}
	if err := s.Sweep(keep, time.Hour); err != nil || !s.Has(unused) {
		t.Errorf("a program that came a moment ago was swept: %v", err)
	}
	if err := s.Sweep(keep, 0); err != nil || !s.Has(used) || s.Has(unused) {
		t.Errorf("swept the wrong one: %v", err)
	}
	left, _ := os.ReadDir(s.dir)
	if len(left) != 2 {
		t.Errorf("left are %v", left)
	}
}

// A program is swept or used, never both, and stays for its age when it is used.
func TestUseKeepsFromTheSweep(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const age = time.Hour
	for i := range 200 {
		digest := put(t, s, fmt.Append(nil, i))
		old := time.Now().Add(-2 * age)
		if err := os.Chtimes(s.Path(digest), old, old); err != nil {
			t.Fatal(err)
		}
		swept := make(chan error)
		go func() { swept <- s.Sweep(nil, age) }()
		used := s.Use(digest)
		if err := <-swept; err != nil {
			t.Fatal(err)
		}
		if s.Has(digest) != used {
			t.Fatalf("used: %t, there afterwards: %t", used, s.Has(digest))
		}
	}
	if s.Use(sha([]byte("another"))) {
		t.Error("what isn't there is used")
	}
}

// A cache doesn't trust what an earlier process left.
func TestCacheVerifiesWhatItFinds(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := put(t, s, []byte("good")), put(t, s, []byte("bad"))
	if err := os.WriteFile(s.Path(bad), []byte("\x00\x00\x00"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenCache(dir); err != nil {
		t.Fatal(err)
	}
	if !s.Has(good) || s.Has(bad) {
		t.Error("a damaged program was used, or a good one wasn't")
	}
	if _, err := os.Stat(s.Path(bad)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the damaged program is still there: %v", err)
	}
}

func TestPlatform(t *testing.T) {
	if p, err := PlatformOfFile("/proc/self/exe"); err != nil || p != ThisPlatform() {
		t.Errorf("this test is for %q, %v", p, err)
	}
	elf := func(order, kind, machine byte) string {
		head := []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 13))
		head[5] = order
		low := 0
		if order == 2 {
			low = 1
		}
		head[16+low], head[18+low] = kind, machine
		return string(head)
	}
	for in, want := range map[string]string{
		elf(1, 2, 62): "linux/amd64", elf(1, 3, 183): "linux/arm64", elf(2, 2, 21): "linux/machine-21", elf(1, 1, 62): "",
		"MZ......": "windows", "\xcf\xfa\xed\xfe\x0c\x00\x00\x01": "darwin/arm64", "#!/bin/sh\n": "", "": "", "\x7fELF": "",
	} {
		p, err := Platform(bytes.NewReader([]byte(in)))
		if p != want || (want == "") != errors.Is(err, wire.ErrBinary) {
			t.Errorf("%q: %q, %v", in, p, err)
		}
	}
}

func FuzzPlatform(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Platform(bytes.NewReader(b))
		if (p == "") != errors.Is(err, wire.ErrBinary) {
			t.Fatalf("%q, %v", p, err)
		}
	})
}
