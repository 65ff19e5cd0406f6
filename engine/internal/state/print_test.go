package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

type point struct {
	X, Y int
	Tags map[int]string
}

// A checkpoint is printed without the types of the program, and a damaged one is passed
// over for the one before, which is said.
func TestPrintState(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	store, err := Open(ctx, dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	codec, err := keyed.CodecFor[string, point]()
	if err != nil {
		t.Fatal(err)
	}
	h := keyed.Header{Table: "points", Partitions: 1, Key: codec.KeyType, Value: codec.ValueType, Base: true, Until: 10}
	edit := keyed.New[string, point](keyed.KeysOf(codec.Key), nil).Edit()
	for i, k := range []string{"a", "b", "c"} {
		edit.Put(k, point{X: i, Tags: map[int]string{5: "five"}}, 10)
	}
	base := edit.Commit()
	edit = base.Edit()
	edit.Put("a", point{X: 9}, 20)
	edit.Remove("b", 20)
	var files []File
	for i, write := range []func(b *bytes.Buffer) error{
		func(b *bytes.Buffer) error { return codec.WriteBase(b, h, base) },
		func(b *bytes.Buffer) error {
			h.Base, h.Since, h.Until = false, 10, 20
			return codec.WriteDelta(b, h, edit.Commit(), 10)
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		f, err := store.write(ctx, "points", fmt.Sprintf("%012d-1-0-0.state", i+1), b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for seq := range uint64(3) {
		m := &Manifest{State: "points", Seq: seq + 1, Partitions: []SavedPartition{{Files: files[:min(2, seq+1)]}}}
		if _, err := store.writeManifest(ctx, m, 1); err != nil {
			t.Fatal(err)
		}
	}
	newest, _ := filepath.Glob(filepath.Join(dir, "7", "points", "000000000003-*.manifest"))
	if err := os.WriteFile(newest[0], []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}

	job, err := NewestJob(dir)
	if job != 7 || err != nil {
		t.Fatalf("job %d; %v", job, err)
	}
	m, damaged, err := store.Newest(ctx, "points")
	if err != nil || m.Seq != 2 || len(damaged) != 1 || !errors.Is(damaged[0], ErrDamaged) {
		t.Fatalf("%+v, %v; %v", m, damaged, err)
	}
	for key, want := range map[string][]string{
		"": {
			`{"key":"a","value":{"Tags":null,"X":9,"Y":0},"changed":"1970-01-01T00:00:00.00000002Z"}`,
			`{"key":"c","value":{"Tags":{"5":"five"},"X":2,"Y":0},"changed":"1970-01-01T00:00:00.00000001Z"}`,
		},
		"c":   {`{"key":"c","value":{"Tags":{"5":"five"},"X":2,"Y":0},"changed":"1970-01-01T00:00:00.00000001Z"}`},
		`"b"`: nil,
	} {
		var out strings.Builder
		if err := store.Print(ctx, &out, m, key); err != nil {
			t.Error(err)
		}
		got := strings.Fields(out.String())
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("key %q:\n%s", key, &out)
		}
	}
	if _, _, err := store.Newest(ctx, "lines"); !errors.Is(err, ErrNoCheckpoint) || !strings.HasSuffix(err.Error(), "; there are those of points") {
		t.Errorf("a state that isn't there: %v", err)
	}
	// So is one of whose files one is damaged; if it was the last the error says what to do.
	for seq := uint64(2); seq > 0; seq-- {
		file := filepath.Join(dir, "7", "points", files[seq-1].Name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 4
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m, damaged, err := store.Newest(ctx, "points")
		if seq == 2 && (err != nil || m.Seq != 1 || len(damaged) != 2 || !strings.Contains(damaged[1].Error(), files[1].Name)) {
			t.Errorf("a damaged file: %+v, %v; %v", m, damaged, err)
		}
		if seq == 1 && (!errors.Is(err, ErrNoCheckpoint) || !strings.Contains(err.Error(), "put the file back")) {
			t.Errorf("all files damaged: %v", err)
		}
	}
}

// Of variables each value, element, entry and timer has a line. What a second batch puts beside
// an entry or a timer doesn't change when that was set.
func TestPrintVariables(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	store, err := Open(ctx, dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	total, list := variables.New(variables.Value, "total", "int", 0), variables.New(variables.List, "list", "string", 0)
	pages, timers := variables.New(variables.Map, "pages", "int to string", 0), variables.NewTimers()
	schema, err := variables.NewSchema[string]([]*variables.Variable{total, list, pages, timers})
	if err != nil {
		t.Fatal(err)
	}
	empty := keyed.New[variables.Row[string], []byte](schema.Keys, nil)
	edit := empty.Edit()
	p, err := schema.Next(empty, nil, edit, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range []string{"ann", "bob"} {
		p.Choose(k)
		variables.Set(p, total, encoding.AppendInt(nil, int64(5+i)))
		variables.Append(p, list, encoding.AppendString(nil, "one"))
		variables.Append(p, list, encoding.AppendString(nil, "two"))
		variables.SetEntry(p, pages, string(encoding.AppendInt(nil, 3)), encoding.AppendString(nil, "/"))
		if err := p.SetTimer(time.Unix(60, 0)); err != nil {
			t.Fatal(err)
		}
	}
	first := edit.Commit()
	edit = first.Edit()
	if p, err = schema.Next(first, p.Commit(), edit, 20); err != nil {
		t.Fatal(err)
	}
	p.Choose("ann")
	variables.SetEntry(p, pages, string(encoding.AppendInt(nil, 4)), encoding.AppendString(nil, "/new"))
	if err := p.SetTimer(time.Unix(90, 0)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	h := keyed.Header{Table: "held", Partitions: 1, Base: true, Until: 20}
	if err := schema.Codec.WriteBase(&b, h, edit.Commit()); err != nil {
		t.Fatal(err)
	}
	f, err := store.write(ctx, "held", "000000000001-1-0-0.state", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := store.Print(ctx, &out, &Manifest{State: "held", Seq: 1, Partitions: []SavedPartition{{Files: []File{f}}}}, "ann"); err != nil {
		t.Fatal(err)
	}
	const changed, later = `"changed":"1970-01-01T00:00:00.00000001Z"}`, `"changed":"1970-01-01T00:00:00.00000002Z"}`
	want := []string{
		`{"key":"ann","name":"list","entry":0,"value":"one",` + changed,
		`{"key":"ann","name":"list","entry":1,"value":"two",` + changed,
		`{"key":"ann","name":"pages","entry":3,"value":"/",` + changed,
		`{"key":"ann","name":"pages","entry":4,"value":"/new",` + later,
		`{"key":"ann","name":"total","value":5,` + changed,
		`{"key":"ann","timer":"1970-01-01T00:01:00Z",` + changed,
		`{"key":"ann","timer":"1970-01-01T00:01:30Z",` + later,
	}
	got := strings.Fields(out.String())
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%s", &out)
	}
}

// Times are printed as such, wherever they are.
func TestPrintTimes(t *testing.T) {
	type visit struct {
		At   time.Time
		Past []time.Time
	}
	codec, err := encoding.For[visit]()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 29, 18, 0, 7, 5, time.UTC)
	b, err := codec.Append(nil, visit{at, []time.Time{at.In(time.FixedZone("CET", 3600))}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(toJSON(b)), `{"At":"2026-11-29T18:00:07.000000005Z","Past":["2026-11-29T19:00:07.000000005+01:00"]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
