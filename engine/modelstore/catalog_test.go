package modelstore

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

func TestCatalog(t *testing.T) {
	url, err := Address(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCatalog(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if d, err := c.Newest(t.Context(), "m"); d != "" || err != nil {
		t.Errorf("of an empty catalog: %q, %v", d, err)
	}
	at := time.Unix(1000, 0)
	publish := func(file string) string {
		t.Helper()
		at = at.Add(-time.Second) // a clock that goes wrong changes no order
		d, err := c.Publish(t.Context(), "m", []byte(file), at)
		if newest, nerr := c.Newest(t.Context(), "m"); err != nil || nerr != nil || d != Digest([]byte(file)) || newest != d {
			t.Errorf("%s: %.12s, the newest is %.12s; %v, %v", file, d, newest, err, nerr)
		}
		return d
	}
	first := publish("first")
	publish("first")
	if all, err := c.entries(t.Context(), "m"); err != nil || len(all) != 1 {
		t.Errorf("published twice: %v, %v", all, err)
	}
	for i := range catalogKept - 1 {
		publish(fmt.Sprint(i))
	}
	if file, err := c.Get(t.Context(), "m", first); err != nil || string(file) != "first" {
		t.Errorf("%q, %v", file, err)
	}
	publish("last but one")
	publish("0") // which is older, too
	publish("last")
	if _, err := c.Get(t.Context(), "m", first); !errors.Is(err, ErrMissing) {
		t.Errorf("what is too old: %v", err)
	}
	if file, err := c.Get(t.Context(), "m", Digest([]byte("0"))); err != nil || string(file) != "0" {
		t.Errorf("what is old and was published again: %q, %v", file, err)
	}
	if versions, err := c.store.Versions(t.Context(), "m"); err != nil || len(versions) > catalogKept {
		t.Errorf("%d versions, %v", len(versions), err)
	}
	if _, err := c.Publish(t.Context(), "../m", nil, at); !errors.Is(err, ErrName) {
		t.Errorf("%v", err)
	}
	if err := c.store.bucket.Write(t.Context(), c.key("n", "x"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Newest(t.Context(), "n"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a file that isn't an entry: %v", err)
	}
}
