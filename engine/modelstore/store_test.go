package modelstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	_ "gocloud.dev/blob/memblob" // a store that isn't a directory
)

// stores opens a store of each kind.
func stores(t *testing.T) map[string]*Store {
	t.Helper()
	all := make(map[string]*Store)
	for _, address := range []string{"mem://", filepath.Join(t.TempDir(), "a", "b")} {
		url, err := Address(address)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), url, 7)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		all[address] = s
	}
	return all
}

func TestStore(t *testing.T) {
	for name, s := range stores(t) {
		ctx := t.Context()
		one, two := []byte("weights one"), bytes.Repeat([]byte("weights two"), 1<<16)
		for _, file := range [][]byte{one, two, one, nil} {
			if err := s.Put(ctx, "m", Digest(file), file); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := s.Get(ctx, "m", Digest(file))
			if err != nil || !bytes.Equal(got, file) {
				t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(file))
			}
		}
		if got, err := s.Versions(ctx, "m"); err != nil || len(got) != 3 || !slices.Contains(got, Digest(two)) {
			t.Errorf("%s: versions %v, %v", name, got, err)
		}
		for range 2 { // the second time it is gone already
			if err := s.Delete(ctx, "m", Digest(two)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, other := range []string{"m", "other"} {
			if _, err := s.Get(ctx, other, Digest(two)); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), Digest(two)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, digest := range []string{"", "../../m", strings.ToUpper(Digest(one)), Digest(one)[1:]} {
			if _, err := s.Get(ctx, "m", digest); !errors.Is(err, ErrMissing) {
				t.Errorf("%s: %q: %v", name, digest, err)
			}
		}
	}
}

// Two jobs in one bucket don't see each other, nor does a file that was changed
// pass for the version.
func TestStoreOnDisk(t *testing.T) {
	dir := t.TempDir()
	open := func(incarnation uint64) *Store {
		s, err := Open(t.Context(), "file://"+dir, incarnation)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := open(1), open(12)
	file := []byte("weights")
	if err := b.Put(t.Context(), "m", Digest(file), file); err != nil {
		t.Fatal(err)
	}
	if v, err := a.Versions(t.Context(), "m"); err != nil || len(v) != 0 {
		t.Errorf("job 1 sees %v of job 12, %v", v, err)
	}
	path := filepath.Join(dir, "12", "m", "versions", Digest(file))
	if err := os.WriteFile(path, []byte("wights"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "m", Digest(file)); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestAddressAndNames(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"models":                "file://" + wd + "/models",
		"/var/models":           "file:///var/models",
		"/var/two words":        "file:///var/two%20words",
		"file:///var/m?a=b":     "file:///var/m?a=b",
		"":                      "",
		"gs://bucket":           "", // no driver in this program
		"ftp://user@host/place": "",
	} {
		got, err := Address(given)
		if got != want || (want == "") != errors.Is(err, ErrURL) {
			t.Errorf("%q is %q, %v; want %q", given, got, err, want)
		}
	}
	for name, ok := range map[string]bool{
		"m": true, "mnist-cnn_2.1": true, "0": true, strings.Repeat("a", 64): true,
		"": false, ".": false, "..": false, "-m": false, "a/b": false, `a\b`: false, "a b": false, "é": false, strings.Repeat("a", 65): false,
	} {
		if err := CheckName(name); (err == nil) != ok || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What the newest driver wrote counts, whenever a deposed one writes.
func TestJournal(t *testing.T) {
	for name, s := range stores(t) {
		ctx := context.Background()
		old, h, err := s.OpenJournal(ctx, "m", 9)
		if err != nil || h != nil {
			t.Fatalf("%s: %v, %v", name, h, err)
		}
		d := func(v string) string { return Digest([]byte(v)) }
		write := func(j *Journal, version string) {
			t.Helper()
			if err := j.Write(ctx, History{Current: d(version), Earlier: []string{d("a")}, Carried: d("a"), Seq: 3}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, v := range []string{"b", "c", "d"} {
			write(old, v)
		}
		next, h, err := s.OpenJournal(ctx, "m", 16)
		if err != nil || h == nil || h.Current != d("d") || h.Seq != 3 || !slices.Equal(h.Earlier, []string{d("a")}) {
			t.Fatalf("%s: %+v, %v", name, h, err)
		}
		write(next, "e")
		write(old, "late") // deposed, and doesn't know it
		if _, h, err = s.OpenJournal(ctx, "m", 17); err != nil || h.Current != d("e") {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
		if keys, err := s.keys(ctx, next.key("")); err != nil || len(keys) > 2*historyKept {
			t.Errorf("%s: %d records are kept: %v, %v", name, len(keys), keys, err)
		}
	}
}

func FuzzHistory(f *testing.F) {
	good, err := msgpack.Marshal(&History{Format: historyFormat, Current: Digest(nil), Carried: Digest(nil), Earlier: []string{Digest([]byte("a"))}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHistory(b)
		if (err == nil) == (h == nil) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%+v, %v", h, err)
		}
		if err == nil && checkDigest(h.Current) != nil {
			t.Errorf("%q passes for a version", h.Current)
		}
	})
}
