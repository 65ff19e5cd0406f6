package files

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// writeParts writes the parts of some attempts of an output and returns them.
func writeParts(t *testing.T, o *Output, attempts ...int) (parts []Part) {
	t.Helper()
	for partition, n := range attempts {
		for attempt := range n {
			w, err := o.Create(t.Context(), partition, attempt, 3, ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("abc")); err != nil {
				t.Fatal(err)
			}
			p, err := w.CommitPart(1)
			if err != nil {
				t.Fatal(err)
			}
			if attempt == n-1 {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// An output is whole when it is committed: of each partition one attempt's file.
func TestOutput(t *testing.T) {
	for kind, place := range places(t) {
		a := mustParse(t, place).Join("out")
		begin := func(nonce string, replace bool) (*Output, error) {
			t.Helper()
			o, err := OpenOutput(t.Context(), a, nonce)
			if err != nil {
				t.Fatal(err)
			}
			return o, o.Begin(t.Context(), replace)
		}
		o, err := begin("n1", false)
		if err != nil {
			t.Fatal(kind, err)
		}
		parts := writeParts(t, o, 2, 1)
		if _, err := List(t.Context(), a.String(), false); !errors.Is(err, ErrUnfinished) {
			t.Errorf("%s: what isn't whole is listed: %v", kind, err)
		}
		if _, err := begin("n2", false); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "begun by a job") {
			t.Errorf("%s: %v", kind, err)
		}
		m := &Manifest{Kind: "text", Parts: parts}
		if err := o.Commit(t.Context(), m); err != nil {
			t.Fatal(kind, err)
		}
		stray := writeParts(t, o, 0, 0, 1) // of an attempt that nobody waits for
		expect := func(parts []Part) {
			t.Helper()
			list, err := List(t.Context(), in(a, "part-*"), false)
			if err != nil || len(list) != len(parts) {
				t.Fatalf("%s: %v, %v; want %v beside %v", kind, list, err, parts, stray)
			}
			for i, f := range list {
				if f != (File{a.Join(parts[i].Name).String(), 3}) {
					t.Errorf("%s: %v is %v", kind, f, parts[i])
				}
			}
		}
		expect(parts)
		if got, err := o.Manifest(t.Context()); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		if _, err := begin("n2", false); !errors.Is(err, ErrExists) || strings.Contains(err.Error(), "begun") {
			t.Errorf("%s: %v", kind, err)
		}

		// What is replaced counts until its successor is whole.
		o2, err := begin("n2", true)
		if err != nil {
			t.Fatal(kind, err)
		}
		writeParts(t, o2, 1)
		expect(parts)
		if err := o2.Abort(t.Context()); err != nil {
			t.Fatal(kind, err)
		}
		expect(parts)
		if o2, err = begin("n3", true); err != nil {
			t.Fatal(kind, err)
		}
		fewer := writeParts(t, o2, 2)
		o3, err := begin("n4", true)
		if err != nil {
			t.Fatal(kind, err)
		}
		if err := o2.Commit(t.Context(), &Manifest{Parts: fewer}); !errors.Is(err, ErrUnfinished) {
			t.Errorf("%s: two jobs wrote one directory: %v", kind, err)
		}
		last := writeParts(t, o3, 1)
		if err := o3.Commit(t.Context(), &Manifest{Parts: last}); err != nil {
			t.Fatal(kind, err)
		}
		expect(last)
		if list, err := o3.bucket.entries(t.Context(), a.Key); err != nil || len(list) != 2 {
			t.Errorf("%s: there are %v, %v", kind, list, err)
		}
	}
}

// A job that pauses while it commits, as a driver that is deposed may, leaves alone what its
// successor writes, and what that one has committed.
func TestCommitOfTheDeposed(t *testing.T) {
	for kind, place := range places(t) {
		for _, step := range []string{"check", "publish"} {
			for _, whole := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, paused after %s, %t", kind, step, whole), func(t *testing.T) {
					a := mustParse(t, place).Join(fmt.Sprint(step, whole))
					begin := func(nonce string) (*Output, []Part) {
						t.Helper()
						o, err := OpenOutput(t.Context(), a, nonce)
						if err == nil {
							err = o.Begin(t.Context(), true)
						}
						if err != nil {
							t.Fatal(err)
						}
						return o, writeParts(t, o, 1, 1)
					}
					o, parts := begin("e1")
					deposed := commit{Output: o, m: &Manifest{Parts: parts}}
					if err := deposed.check(t.Context()); err != nil {
						t.Fatal(err)
					}
					if step == "publish" {
						if err := deposed.publish(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					successor, want := begin("e2")
					finish := func() {
						if err := successor.Commit(t.Context(), &Manifest{Parts: want}); err != nil {
							t.Fatal(err)
						}
					}
					if whole {
						finish()
					}
					if step == "check" {
						if err := deposed.publish(t.Context()); whole != errors.Is(err, ErrExists) {
							t.Error(err)
						}
					}
					if step == "publish" || !whole {
						if err := deposed.tidy(t.Context()); err != nil {
							t.Error(err)
						}
					} else if err := deposed.check(t.Context()); !errors.Is(err, ErrUnfinished) {
						t.Errorf("it is the deposed one's: %v", err)
					}
					if err := o.Abort(t.Context()); err != nil {
						t.Error(err)
					}
					if !whole {
						finish()
					}
					list, err := List(t.Context(), in(a, "part-*"), false)
					if err != nil || len(list) != 2 || list[0].Path != a.Join(want[0].Name).String() || list[1].Path != a.Join(want[1].Name).String() {
						t.Errorf("%v, %v; want %v", list, err, want)
					}
				})
			}
		}
	}
}

// Directories of other programs have no manifest, or one that this program doesn't know.
func TestForeignOutput(t *testing.T) {
	for kind, place := range places(t) {
		a := put(t, place, "spark/part-0", "newer/part-0", "damaged/part-0")
		b, err := a.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for dir, c := range map[string]struct {
			manifest string
			err      error
		}{
			"spark":   {`{"name": "S3A committer"}`, nil},
			"newer":   {"hibana output 2 00000000\n{}", ErrDamaged},
			"damaged": {"hibana output 1 00000000\n{}", ErrDamaged},
		} {
			if err := b.Write(t.Context(), a.Join(dir+"/_SUCCESS").Key, []byte(c.manifest)); err != nil {
				t.Fatal(err)
			}
			if list, err := List(t.Context(), in(a, dir), false); !errors.Is(err, c.err) || c.err == nil && len(list) != 1 {
				t.Errorf("%s: %s: %v, %v", kind, dir, list, err)
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	good, err := (&Manifest{Kind: "text", Parts: []Part{{"part-00000-a-0.0", 3, 1, 7}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("hibana output 1 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(data)
		if (m == nil) == (err == nil) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%+v, %v", m, err)
		}
		if m == nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if m2, err := DecodeManifest(again); err != nil || !reflect.DeepEqual(m, m2) {
			t.Errorf("%+v became %+v, %v", m, m2, err)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{"a,b", "{a,b}{c,{d,e}}", `\{a,b}`, "}{", "{{{{"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		for _, one := range split(p, ',') {
			if n := len(braces(one)); n == 0 || n > maxAlternatives+len(p) {
				t.Errorf("%q is %d patterns", one, n)
			}
		}
		if q := Quote(p); len(split(q, ',')) != 1 || len(braces(q)) != 1 {
			t.Errorf("%q isn't one pattern", q)
		}
	})
}
