package enginetest_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// given is what a program of an operator is given.
type given struct {
	sc     *rdd.Context
	n      *rdd.RDD[int]                // 1 2, 3 4, 5 6 in 3 partitions
	pairs  *rdd.RDD[rdd.Pair[int, int]] // of n, by the remainder of 3
	other  *rdd.RDD[rdd.Pair[int, int]] // 1 and 100, 3 and 300
	remote *rdd.Accumulator[int]        // bytes that came from other executors
	dir    string                       // for the program's files
}

// operator is a program that shows what an operator or an action makes, as text.
type operator struct {
	name string
	want string
	of   func(g given) (any, error)
}

// everyOperator returns the program of each.
func everyOperator() []operator {
	return slices.Concat(narrowOperators, shuffleOperators, pairOperators, actions, fileOperators, sharedOperators)
}

// rows returns the elements of an RDD in their order.
func rows[T any](g given, r *rdd.RDD[T]) (any, error) {
	var text []string
	got, err := rdd.Collect(rdd.TryMapPartitions(r, counted[T](g)))
	for _, v := range got {
		text = append(text, fmt.Sprint(v))
	}
	return strings.Join(text, " "), err
}

// bag returns the elements of an RDD, sorted as text.
func bag[T any](g given, r *rdd.RDD[T]) (any, error) {
	got, err := rdd.Collect(rdd.TryMapPartitions(r, counted[T](g)))
	return asText(got), err
}

// asText returns elements as text, sorted.
func asText[T any](got []T) string {
	text := make([]string, len(got))
	for i, v := range got {
		text[i] = fmt.Sprint(v)
	}
	slices.Sort(text)
	return strings.Join(text, " ")
}

// runEvery returns a batch program that runs every operator's and hands what came of it to
// found on the driver. before is called in tasks before each number, with the name of the
// operator and its place in the list.
func runEvery(before func(name string, place, n int), found func(results map[string]string, remote int)) engine.BatchFunc {
	return func(sc *rdd.Context) error {
		results := make(map[string]string)
		remote := rdd.NewSum[int](sc, "remote")
		dir, err := rdd.TryValue(sc, func() (string, error) { return os.MkdirTemp("", "hibana-operators-") })
		if err != nil {
			return err
		}
		sc.SetCheckpointDir(filepath.Join(dir, "checkpoints"))
		for place, o := range everyOperator() {
			n := rdd.Map(rdd.Parallelize(sc, []int{1, 2, 3, 4, 5, 6}, rdd.Partitions(3)), func(v int) int {
				before(o.name, place, v)
				return v
			})
			g := given{
				sc: sc, n: n, pairs: rdd.Map(n, byThree), remote: remote, dir: filepath.Join(dir, o.name),
				other: rdd.Parallelize(sc, []rdd.Pair[int, int]{{Key: 1, Value: 100}, {Key: 3, Value: 300}}, rdd.Partitions(2)),
			}
			v, err := o.of(g)
			if err != nil {
				return fmt.Errorf("the program of %s: %w", o.name, err)
			}
			sc.OnDriver(func() error { results[o.name] = fmt.Sprint(v); return nil })
		}
		sc.OnDriver(func() error { found(results, remote.Value()); return os.RemoveAll(dir) })
		return nil
	}
}

func byThree(v int) rdd.Pair[int, int] { return rdd.KV(v%3, v) }

// checkEvery compares what programs brought with what they should.
func checkEvery(t *testing.T, results map[string]string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range everyOperator() {
		if got := results[o.name]; got != o.want {
			t.Errorf("%s:\n got %s\nwant %s", o.name, got, o.want)
		}
	}
}

// Every operator and action brings what it should in local mode, on executor processes and
// on executor processes that are killed.
func TestEveryOperator(t *testing.T) {
	var results map[string]string
	var remote int
	found := func(r map[string]string, n int) { results, remote = r, n }
	alive := func(string, int, int) {}
	if os.Getenv(role.Env) == "" {
		t.Run("local", func(t *testing.T) { checkEvery(t, results, enginetest.Batch(t, runEvery(alive, found))) })
	}
	t.Run("cluster", func(t *testing.T) {
		err := enginetest.BatchOnCluster(t, runEvery(alive, found))
		checkEvery(t, results, err)
		if remote == 0 {
			t.Error("nothing was read from another process")
		}
	})
	t.Run("kills", func(t *testing.T) {
		const killEvery, least = 12, 6 // operators, and kills: some read no numbers
		marks := newOnce(t)
		err := enginetest.BatchOnCluster(t, runEvery(func(name string, place, n int) {
			if os.Getenv(role.Env) != "" && place%killEvery == 0 && n == 4 && marks.first(name) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}, found))
		checkEvery(t, results, err)
		kills, err := os.ReadDir(marks.dir)
		if err != nil || len(kills) < least || remote == 0 {
			t.Errorf("%d kills happened, %d bytes came from other processes; %v", len(kills), remote, err)
		}
		t.Logf("%d operators, %d kills, %d bytes of shuffles came from other processes", len(everyOperator()), len(kills), remote)
	})
}

// No operator is missing in the list.
func TestEveryOperatorIsThere(t *testing.T) {
	there := make(map[string]bool)
	for _, o := range everyOperator() {
		if there[o.name] {
			t.Errorf("%s is there twice", o.name)
		}
		there[o.name] = true
	}
	// What no program calls in its own name: what RDDs are made of, and values.
	for _, name := range []string{
		"BinaryRecordsReader", "CheckLevel", "CollectAction", "Compute", "Context", "DecodeRows", "Elements", "Evolve", "KV", "NewContext",
		"Node", "None", "NumPartitions", "ObjectSaver", "Owning", "PartOf", "PartitionAction", "Permanent", "Placer", "Some",
		"TextReader", "TextSaver", "WholeReader",
	} {
		there[name] = true
	}
	for _, name := range exported(t, "../../rdd") {
		if !there[name] {
			t.Errorf("rdd.%s has no program", name)
		}
		delete(there, name)
	}
	for name := range there {
		t.Errorf("package rdd has no %s", name)
	}
}

// exported returns the exported functions of a package and methods of RDD, without those that
// return options.
func exported(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of package rdd in %s: %v", dir, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Name.IsExported() && isOperator(d) {
				names = append(names, d.Name.Name)
			}
		}
	}
	return names
}

// isOperator reports whether a function is a method of RDD or none, and makes no option.
func isOperator(d *ast.FuncDecl) bool {
	if d.Recv != nil {
		star, ok := d.Recv.List[0].Type.(*ast.StarExpr)
		if !ok {
			return false
		}
		generic, ok := star.X.(*ast.IndexExpr)
		if !ok {
			return false
		}
		of, ok := generic.X.(*ast.Ident)
		return ok && of.Name == "RDD"
	}
	if d.Type.Results == nil {
		return true
	}
	of, ok := d.Type.Results.List[0].Type.(*ast.Ident)
	return !ok || !slices.Contains([]string{"ShuffleOption", "FileOption", "TryOption", "BadRecords"}, of.Name)
}
