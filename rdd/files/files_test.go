package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
)

// sharedOpener opens buckets in memory that are the same ones at each opening.
type sharedOpener struct{ bucket *blob.Bucket }

func (o sharedOpener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return blob.PrefixedBucket(o.bucket, ""), nil
}

var shared = memblob.OpenBucket(nil)

func TestMain(m *testing.M) {
	blob.DefaultURLMux().RegisterBucket("shared", sharedOpener{shared})
	os.Exit(m.Run())
}

// places returns a directory and a prefix of a bucket, both empty.
func places(t *testing.T) map[string]string {
	return map[string]string{"directory": t.TempDir(), "bucket": "shared://b/" + strings.ReplaceAll(t.Name(), "/", "-") + "?x=1"}
}

// put writes files, whose contents are their names, below a place.
func put(t *testing.T, place string, names ...string) Address {
	t.Helper()
	a, err := Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := b.Write(t.Context(), a.Join(n).Key, []byte(n)); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// in returns the pattern below a place.
func in(a Address, pattern string) string { return a.at(a.Key + "/" + pattern).String() }

func TestList(t *testing.T) {
	for kind, place := range places(t) {
		a := put(t, place, "b.txt", "a.txt", "c.log", "_hidden", ".too", "2024/01/x", "2024/02/x", "2024/02/y", "2024/z", "odd[1],{2}.txt")
		for pattern, want := range map[string][]string{
			"a.txt":            {"a.txt"},
			"":                 {"a.txt", "b.txt", "c.log", "odd[1],{2}.txt"},
			"*.txt":            {"a.txt", "b.txt", "odd[1],{2}.txt"},
			"[ab].txt":         {"a.txt", "b.txt"},
			"?.log":            {"c.log"},
			"{b,a}.txt":        {"b.txt", "a.txt"},
			"{a,no}.txt":       {"a.txt"},
			"_*":               {"_hidden"},
			"2024/*":           {"2024/01/x", "2024/02/x", "2024/02/y", "2024/z"},
			"2024/*/x":         {"2024/01/x", "2024/02/x"},
			"2024/0[2-9]":      {"2024/02/x", "2024/02/y"},
			"2024":             {"2024/z"},
			"2024/{01/x,z}":    {"2024/01/x", "2024/z"},
			`odd\[1\]\,\{2\}*`: {"odd[1],{2}.txt"},
			"nothing*":         nil,
			"a.txt/b":          nil,
			"no/such/*":        nil,
		} {
			list, err := List(t.Context(), in(a, pattern), false)
			if kind == "directory" && pattern == "a.txt/b" && err != nil {
				continue // the system has an error of its own for it
			}
			var got []string
			for _, f := range list {
				name := strings.TrimPrefix(mustParse(t, f.Path).Key, a.Key+"/")
				if got = append(got, name); f.Size != int64(len(name)) {
					t.Errorf("%s: %q: %s has %d bytes", kind, pattern, name, f.Size)
				}
			}
			if !slices.Equal(got, want) || (want == nil) != errors.Is(err, ErrMissing) {
				t.Errorf("%s: %q lists %q, %v; want %q", kind, pattern, got, err, want)
			}
		}
		if list, err := List(t.Context(), in(a, "2024"), true); err != nil || len(list) != 4 {
			t.Errorf("%s: all below 2024 are %v, %v", kind, list, err)
		}
		both := in(a, "b.txt") + "," + in(a, "2024/z")
		if list, err := List(t.Context(), both, false); err != nil || len(list) != 2 || !strings.Contains(list[1].Path, "2024/z") {
			t.Errorf("%s: %v, %v", kind, list, err)
		}
		if list, err := List(t.Context(), Quote(in(a, "odd[1],{2}.txt")), false); err != nil || len(list) != 1 {
			if kind == "directory" { // the parameters of a URL aren't quoted
				t.Errorf("%s: %v, %v", kind, list, err)
			}
		}
	}
}

func mustParse(t *testing.T, s string) Address {
	t.Helper()
	a, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What can't be read isn't passed over, and a link is the file that it leads to.
func TestListOfLinks(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "data/long")
	if err := errors.Join(os.Symlink("data/long", filepath.Join(dir, "l")), os.Symlink(filepath.Join(dir, "data"), filepath.Join(dir, "d"))); err != nil {
		t.Fatal(err)
	}
	list, err := List(t.Context(), dir+"/*", false)
	if err != nil || len(list) != 3 || list[2] != (File{dir + "/l", 9}) {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	if _, err := List(t.Context(), dir, false); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}

// A look marks links that lead nowhere, in the directory and below it, and finds the others. It
// ends with its context.
func TestLookAtLinks(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "below/b")
	if err := errors.Join(os.Symlink("nowhere", filepath.Join(dir, "broken")), os.Symlink("nowhere", filepath.Join(dir, "below/broken"))); err != nil {
		t.Fatal(err)
	}
	a := mustParse(t, dir)
	b, err := a.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	found, err := b.Look(t.Context(), a.Key, true)
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprint(f.Name, f.Nowhere))
	}
	if want := []string{"afalse", "below/bfalse", "below/brokentrue", "brokentrue"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if names, err := b.Names(t.Context(), a.Key); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("the names are %q, %v", names, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Look(ctx, a.Key, true); !errors.Is(err, context.Canceled) {
		t.Errorf("the context had ended: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for given, want := range map[string]string{
		"/a/b":                      "/a/b",
		"/a/../b/":                  "/b",
		"file:///a/b%20c":           "/a/b c",
		"shared://b/k/x?r=1":        "shared://b/k/x?r=1",
		"shared://b/k/?.txt":        "shared://b/k/?.txt",
		"shared://b":                "shared://b/",
		"":                          "not an address of files: it is empty",
		"s3://bucket/key":           `import _ "gocloud.dev/blob/s3blob"`,
		"carrier-pigeon://loft/one": "this program has drivers for",
	} {
		a, err := Parse(given)
		if err != nil && (!errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), want)) || err == nil && a.String() != want {
			t.Errorf("%q: %s, %v; want %s", given, a, err, want)
		}
	}
}

// Only what is committed is there, and errors say which file, where.
func TestFiles(t *testing.T) {
	for kind, place := range places(t) {
		a := put(t, place, "ten bytes!")
		b, err := a.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		key := a.Join("new").Key
		for _, commit := range []bool{false, true} {
			w, err := b.Create(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if there, err := b.Exists(t.Context(), key); there || err != nil {
				t.Errorf("%s: it is there before it is committed, %v", kind, err)
			}
			if commit {
				err = w.Commit()
			}
			w.Abort()
			if there, _ := b.Exists(t.Context(), key); there != commit || err != nil {
				t.Errorf("%s: committed %v, there %v, %v", kind, commit, there, err)
			}
		}
		r, err := b.Range(t.Context(), a.Join("ten bytes!").Key, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		if part, err := io.ReadAll(r); string(part) != "byt" || err != nil || r.Offset() != 7 || r.Size() != 10 {
			t.Errorf("%s: %q, %v, at %d of %d", kind, part, err, r.Offset(), r.Size())
		}
		if err := errors.Join(r.Close(), b.Remove(t.Context(), key), b.Remove(t.Context(), key)); err != nil {
			t.Error(kind, err)
		}
		if _, err := b.Range(t.Context(), key, 0, -1); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), b.Name(key)) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := b.Read(t.Context(), a.Join("ten bytes!").Key, 9); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A look finds what a list does, with times, and passes over what isn't whole.
func TestLook(t *testing.T) {
	for kind, place := range places(t) {
		a := put(t, place, "b.txt", "a.txt", "_hidden", ".too", "2024/x", "2024/01/y", "_not/z")
		b, err := a.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		look := func(dir Address, recursive bool) (names []string) {
			found, err := b.Look(t.Context(), dir.Key, recursive)
			if err != nil {
				t.Fatal(kind, err)
			}
			for _, f := range found {
				if names = append(names, f.Name); f.Size == 0 || f.Modified.IsZero() {
					t.Errorf("%s: %+v", kind, f)
				}
			}
			return names
		}
		if got := look(a, false); !slices.Equal(got, []string{"a.txt", "b.txt"}) {
			t.Errorf("%s: %q", kind, got)
		}
		all := []string{"2024/01/y", "2024/x", "a.txt", "b.txt"}
		if got := look(a, true); !slices.Equal(got, all) {
			t.Errorf("%s: %q", kind, got)
		}
		o, err := OpenOutput(t.Context(), a.Join("out"), "n")
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Begin(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		parts := writeParts(t, o, 1, 2)
		if got := look(a, true); !slices.Equal(got, all) {
			t.Errorf("%s: with an output that isn't finished: %q", kind, got)
		}
		if err := o.Commit(t.Context(), &Manifest{Kind: "text", Parts: parts}); err != nil {
			t.Fatal(err)
		}
		if got := look(a, true); len(got) != 6 {
			t.Errorf("%s: with an output: %q", kind, got)
		}
		found, err := b.Look(t.Context(), a.Join("none").Key, true)
		if isDir := kind == "directory"; len(found) > 0 || errors.Is(err, ErrMissing) != isDir || (err != nil) != isDir {
			t.Errorf("%s: %v, %v", kind, found, err)
		}
		if err := errors.Join(o.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}
