package rdd_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// checkpointOf makes a checkpoint of a few pairs and returns its directory.
func checkpointOf(t *testing.T) string {
	t.Helper()
	sc := rddtest.NewContext(2)
	dir := t.TempDir()
	sc.SetCheckpointDir(dir)
	if _, err := pairsOf(sc).Checkpoint(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, dirEntries(t, dir)[0].Name())
}

func pairsOf(sc *rdd.Context) *rdd.RDD[pair] {
	return rdd.ReduceByKey(rdd.Map(ints(sc, 9, 3), func(n int) pair { return pair{fmt.Sprint(n % 4), n} }), sum, rdd.Partitions(2))
}

// A checkpoint is what it was made of, which isn't computed again.
func TestCheckpoint(t *testing.T) {
	sc := rddtest.NewContext(2)
	sc.SetCheckpointDir(t.TempDir())
	calls := 0
	pairs := rdd.MapValues(pairsOf(sc), func(n int) int { calls++; return n })
	want, err := rddtest.Glom(pairs)
	if err != nil {
		t.Fatal(err)
	}
	calls = 0
	cut, err := pairs.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		check(t, cut, want)
	}
	if calls != 4 || len(cut.Node().Deps) != 0 || !cut.Node().Partitioner.Equal(pairs.Node().Partitioner) {
		t.Errorf("%d calls, dependencies %v, partitioner %v", calls, cut.Node().Deps, cut.Node().Partitioner)
	}
	check(t, rdd.FromCheckpoint[pair](rddtest.NewContext(1), checkpointOf(t)), want)
	check(t, rdd.ObjectFile[pair](rddtest.NewContext(1), checkpointOf(t)), want)
	if _, err := pairsOf(rddtest.NewContext(2)).Checkpoint(); !errors.Is(err, rdd.ErrCheckpoint) || !strings.Contains(err.Error(), "SetCheckpointDir") || !strings.Contains(err.Error(), "checkpoint at rdd/checkpoint_test.go") {
		t.Errorf("no place: %v", err)
	}
}

// A local checkpoint is what it was made of, which isn't computed again. Where it isn't kept
// any more it can't be computed, and says what to do.
func TestLocalCheckpoint(t *testing.T) {
	for _, elements := range []int{0, 9} {
		sc := rddtest.NewContext(2)
		calls := 0
		pairs := rdd.PartitionBy(rdd.Map(ints(sc, elements, 3), func(n int) pair { calls++; return pair{fmt.Sprint(n % 4), n} }), rdd.Partitions(3))
		want, err := rdd.Collect(pairs)
		if err != nil {
			t.Fatal(err)
		}
		local, err := pairs.LocalCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		if calls != elements || len(local.Node().Deps) != 0 || !local.Node().Partitioner.Equal(pairs.Node().Partitioner) {
			t.Errorf("%d calls, dependencies %v, partitioner %v", calls, local.Node().Deps, local.Node().Partitioner)
		}
		for range 2 {
			if got, err := rdd.Collect(local); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		}
		_, elsewhere := rddtest.Glom(local) // where nothing is kept
		_, unpersisted := rdd.Collect(local.Unpersist())
		for _, err := range []error{elsewhere, unpersisted} {
			if !errors.Is(err, rdd.ErrCheckpoint) || !strings.Contains(fmt.Sprint(err), "localCheckpoint at rdd/checkpoint_test.go") || task.IsPermanent(err) {
				t.Errorf("lost: %v", err)
			}
		}
	}
}

// A run of a program goes on from the last checkpoint of the run before.
func TestLastCheckpoint(t *testing.T) {
	dir := t.TempDir()
	context := func() *rdd.Context {
		sc := rddtest.NewContext(2)
		sc.SetCheckpointDir(dir)
		return sc
	}
	calls := 0
	// rounds adds one to each value in each round, and keeps every second round.
	rounds := func(sc *rdd.Context, until int) (*rdd.RDD[pair], int) {
		pairs, begun, err := rdd.LastCheckpoint[pair](sc, "pairs")
		if begun == 0 {
			pairs = pairsOf(sc)
		}
		for n := begun + 1; err == nil && n <= until; n++ {
			if pairs = rdd.MapValues(pairs, func(v int) int { calls++; return v + 1 }); n%2 == 0 {
				pairs, err = pairs.CheckpointAs("pairs", n)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return pairs, begun
	}
	numbers := func() string {
		var names []string
		for _, e := range dirEntries(t, filepath.Join(dir, "pairs")) {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	want, err := rddtest.Glom(rdd.MapValues(pairsOf(context()), func(v int) int { return v + 9 }))
	if err != nil {
		t.Fatal(err)
	}
	if _, begun := rounds(context(), 7); begun != 0 || calls != 6*4 || numbers() != "4 6" {
		t.Errorf("the first run began after %d, made %d calls and left %s", begun, calls, numbers())
	}
	// What was killed while it was written doesn't count.
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "pairs", "8"), 0o700), os.WriteFile(filepath.Join(dir, "pairs", "8", "_STARTED"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	calls = 0
	pairs, begun := rounds(context(), 9)
	check(t, pairs, want)
	if by := pairs.Node().Partitioner; begun != 6 || calls != 3*4 || numbers() != "6 8" || by == nil || !by.Equal(rdd.HashPartitioner{N: 2}) {
		t.Errorf("the second run began after %d, made %d calls and left %s; keys are by %v", begun, calls, numbers(), by)
	}
	check(t, rdd.MapValues(rdd.FromCheckpoint[pair](context(), filepath.Join(dir, "pairs", "8")), func(v int) int { return v + 1 }), want)

	if _, _, err := rdd.LastCheckpoint[int](context(), "pairs"); !errors.Is(err, rdd.ErrCheckpoint) || !strings.Contains(err.Error(), "lastCheckpoint at rdd/checkpoint_test.go") {
		t.Errorf("of another type: %v", err)
	}
	if _, _, err := rdd.LastCheckpoint[int](rddtest.NewContext(1), "pairs"); !errors.Is(err, rdd.ErrCheckpoint) || !strings.Contains(err.Error(), "SetCheckpointDir") {
		t.Errorf("no place: %v", err)
	}
	for _, name := range []string{"", "a/b", ".a", "_a"} {
		_, _, err := rdd.LastCheckpoint[int](context(), name)
		if _, err2 := pairsOf(context()).CheckpointAs(name, 1); !errors.Is(err, rdd.ErrArgument) || !errors.Is(err2, rdd.ErrArgument) {
			t.Errorf("%q: %v, %v", name, err, err2)
		}
	}
	if _, err := pairsOf(context()).CheckpointAs("pairs", 0); !errors.Is(err, rdd.ErrArgument) {
		t.Errorf("number 0: %v", err)
	}
}

// A name keeps its two newest whole checkpoints. What isn't whole goes with those that are
// older, also what a kill has left of a file; what can't be removed keeps no other one.
func TestOldCheckpointsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	sc := rddtest.NewContext(1)
	sc.SetCheckpointDir(dir)
	at := func(name string) string { return filepath.Join(dir, "ints", name) }
	write := func(n int) {
		t.Helper()
		if _, err := ints(sc, 3, 1).CheckpointAs("ints", n); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(name string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o700), os.WriteFile(at(name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		var names []string
		for _, e := range dirEntries(t, at("")) {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("there are %s, want %s", got, want)
		}
	}
	leave("1/somebody's file") // so that it stays
	write(2)
	write(3)
	leave("4/_STARTED")
	leave("5/_STARTED.18f.tmp")
	leave("6/part-00000-n-0.0.18f.tmp")
	leave("3/_SUCCESS.18f.tmp")
	write(7)
	expect("1 3 7")
	leave("8/_STARTED")
	write(9)
	expect("1 7 9")
	write(10)
	expect("1 10 9")
}

// What isn't a whole checkpoint of the program's own isn't read.
func TestErrorsOfCheckpoints(t *testing.T) {
	manifest := func(dir string) string { return filepath.Join(dir, "_SUCCESS") }
	edit := func(change func(m *files.Manifest)) func(dir string) error {
		return func(dir string) error {
			data, err := os.ReadFile(manifest(dir))
			if err != nil {
				return err
			}
			m, err := files.DecodeManifest(data)
			if err != nil {
				return err
			}
			change(m)
			if data, err = m.Encode(); err != nil {
				return err
			}
			return os.WriteFile(manifest(dir), data, 0o600)
		}
	}
	part := func(dir string) string {
		names, _ := filepath.Glob(dir + "/part-*")
		return names[0]
	}
	for what, c := range map[string]struct {
		spoil func(dir string) error
		err   error
		says  string
	}{
		"another program": {edit(func(m *files.Manifest) { m.Program = "example.com/other" }), rdd.ErrCheckpoint, "of the program example.com/other"},
		"another type":    {edit(func(m *files.Manifest) { m.Type = "float64" }), rdd.ErrCheckpoint, "elements of type float64"},
		"an output":       {edit(func(m *files.Manifest) { m.Kind = "text" }), rdd.ErrCheckpoint, `kind "text"`},
		"another version": {func(dir string) error { return os.WriteFile(manifest(dir), []byte("hibana output 2 0\n{}"), 0o600) }, files.ErrDamaged, "another version"},
		"not whole":       {func(dir string) error { return os.Rename(manifest(dir), filepath.Join(dir, "_STARTED")) }, files.ErrUnfinished, "was killed"},
		"none":            {os.RemoveAll, files.ErrMissing, ""},
		"cut short":       {func(dir string) error { return os.Truncate(part(dir), 20) }, files.ErrDamaged, "has 20 bytes and had"},
		"a part is gone":  {func(dir string) error { return os.Remove(part(dir)) }, files.ErrMissing, "part-00000"},
		"flipped": {func(dir string) error {
			data, err := os.ReadFile(part(dir))
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(part(dir), data, 0o600)
		}, files.ErrDamaged, "part-00000"},
	} {
		dir := checkpointOf(t)
		if err := c.spoil(dir); err != nil {
			t.Fatal(what, err)
		}
		if _, err := rdd.Count(rdd.FromCheckpoint[pair](rddtest.NewContext(1), dir)); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// memory opens one bucket in memory, and none without credentials.
type memory struct{ bucket *blob.Bucket }

func (m memory) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) {
	if u.Query().Get("user") == "" {
		return nil, errors.New("no credentials were found")
	}
	return blob.PrefixedBucket(m.bucket, ""), nil
}

// What holds for directories holds for buckets.
func TestBuckets(t *testing.T) {
	scheme := strings.ToLower(t.Name())
	if !blob.DefaultURLMux().ValidBucketScheme(scheme) { // a test runs several times with -count
		blob.DefaultURLMux().RegisterBucket(scheme, memory{memblob.OpenBucket(nil)})
	}
	sc := rddtest.NewContext(3)
	at := func(name string) string { return scheme + "://b/" + t.TempDir()[1:] + "/" + name + "?user=me" }
	text, objects := at("text"), at("objects")
	if err := errors.Join(rdd.SaveAsTextFile(ints(sc, 9, 3), text), rdd.SaveAsObjectFile(ints(sc, 9, 3), objects)); err != nil {
		t.Fatal(err)
	}
	if lines := flat(t, rdd.TextFile(sc, text, rdd.SplitSize(2))); strings.Join(lines, "") != "123456789" {
		t.Error(lines)
	}
	check(t, rdd.ObjectFile[int](sc, objects), [][]int{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}})
	if err := rdd.SaveAsTextFile(ints(sc, 9, 3), text); !errors.Is(err, files.ErrExists) {
		t.Error(err)
	}
	sc.SetCheckpointDir(at("checkpoints"))
	for n := range 3 {
		if _, err := ints(sc, n, 1).CheckpointAs("ints", n+1); err != nil {
			t.Fatal(err)
		}
	}
	r, n, err := rdd.LastCheckpoint[int](sc, "ints")
	if err != nil || n != 3 {
		t.Errorf("the last checkpoint is %d, %v", n, err)
	}
	check(t, r, [][]int{{1, 2}})
	sc = rddtest.NewContext(3)
	place := strings.TrimSuffix(text, "?user=me")
	if _, err := rdd.Count(rdd.TextFile(sc, place)); err == nil || !errors.Is(err, files.ErrAccess) || !strings.Contains(err.Error(), "opening the bucket of "+place) || !strings.Contains(err.Error(), "every process of the job needs credentials") {
		t.Errorf("no credentials: %v", err)
	}
}

// A checkpoint whose manifest is damaged is passed over for the one before; of a damaged part
// the error says what to remove.
func TestDamagedLastCheckpoint(t *testing.T) {
	sc, dir := rddtest.NewContext(1), t.TempDir()
	sc.SetCheckpointDir(dir)
	for n := range 2 {
		if _, err := ints(sc, n+1, 1).CheckpointAs("ints", n+1); err != nil {
			t.Fatal(err)
		}
	}
	flip := func(pattern string) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "ints", pattern))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		data, err := os.ReadFile(names[0])
		if err == nil {
			data[len(data)-3] ^= 4
			err = os.WriteFile(names[0], data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	flip("2/_SUCCESS")
	r, n, err := rdd.LastCheckpoint[int](sc, "ints")
	if err != nil || n != 1 {
		t.Fatalf("a damaged manifest: checkpoint %d, %v", n, err)
	}
	flip("1/part-*")
	if _, err := rdd.Count(r); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), "remove ") || !strings.Contains(err.Error(), "ints/1: the program then goes on") {
		t.Errorf("a damaged part: %v", err)
	}
	flip("1/_SUCCESS")
	if _, _, err := rdd.LastCheckpoint[int](sc, "ints"); err == nil || !strings.Contains(err.Error(), "to begin anew") {
		t.Errorf("nothing is whole: %v", err)
	}
}
