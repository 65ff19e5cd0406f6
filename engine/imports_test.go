package engine_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the prefix of this module's packages.
const module = "github.com/hibana-engine/hibana/"

// imports returns what each package of the module imports of it, tests left out,
// by paths below the module.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go tool, which lists what packages import")
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	list.Stderr = t.Output()
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		var own []string
		for _, path := range words[1:] {
			if path, ok := strings.CutPrefix(path, module); ok {
				own = append(own, path)
			}
		}
		all[strings.TrimPrefix(words[0], module)] = own
	}
	if len(all) < 50 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

// below reports whether a package is in a folder.
func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// TestImports holds the order in which packages know each other, see DESIGN.md.
func TestImports(t *testing.T) {
	all := imports(t)
	t.Run("run one way", func(t *testing.T) { testOneWay(t, all) })
	t.Run("daemons run no job", func(t *testing.T) { testDaemons(t, all) })
	t.Run("no cycle of folders", func(t *testing.T) { testNoCycle(t, all) })
}

// A folder imports of the module what its line says, and itself.
func testOneWay(t *testing.T, all map[string][]string) {
	allowed := map[string][]string{
		"rdd":        {},
		"scheduler":  {"rdd"},
		"engine":     {"rdd", "scheduler"},
		"connectors": {"rdd", "engine"},
		"ml":         {"rdd", "engine"},

		"engine/wire":          {"engine/batchlog"},
		"engine/security":      {"engine/wire"},
		"engine/rpc":           {"engine/wire", "engine/security"},
		"engine/role":          {"engine/wire", "engine/security", "engine/rpc", "engine/offspring"},
		"engine/batchlog":      {"engine/disk"},
		"engine/control/state": {"engine/wire", "engine/batchlog"},
	}
	for folder, may := range allowed {
		seen := 0
		for path, imported := range all {
			if !below(path, folder) || strings.HasSuffix(path, "test") { // helpers of tests
				continue
			}
			seen++
			for _, i := range imported {
				if !below(i, folder) && !slices.ContainsFunc(may, func(f string) bool { return below(i, f) }) {
					t.Errorf("%s imports %s; %s may import of this module %q only", path, i, folder, may)
				}
			}
		}
		if seen == 0 {
			t.Errorf("there is no folder %s", folder)
		}
	}
	for path, imported := range all {
		if below(path, "ml") && path != "ml" && path != "ml/streaming" && slices.ContainsFunc(imported, func(i string) bool { return below(i, "engine") }) {
			t.Errorf("%s imports the engine, which only ml and ml/streaming know", path)
		}
	}
}

// Daemons and engine-submit link nothing that runs a job: what they carry of one is
// opaque bytes.
func testDaemons(t *testing.T, all map[string][]string) {
	for _, cmd := range []string{"cmd/engine-driver", "cmd/engine-executor", "cmd/engine-submit"} {
		linked := map[string]string{cmd: ""} // by what imports it
		todo := []string{cmd}
		for len(todo) > 0 {
			path := todo[0]
			todo = todo[1:]
			for _, i := range all[path] {
				if _, ok := linked[i]; !ok {
					linked[i] = path
					todo = append(todo, i)
				}
			}
		}
		if len(linked) < 5 {
			t.Errorf("%s links %d packages of the module only", cmd, len(linked))
		}
		for path, by := range linked {
			for _, no := range []string{"rdd", "scheduler", "engine/internal", "connectors", "ml"} {
				if below(path, no) || path == "engine" {
					t.Errorf("%s links %s, which %s imports", cmd, path, by)
					break
				}
			}
		}
	}
}

// No folder imports another, with all that is below them, that imports it: at each
// level of the tree there is an order in which to read.
func testNoCycle(t *testing.T, all map[string][]string) {
	for level, edges := range folderImports(all) {
		if cycle := findCycle(edges); cycle != nil {
			t.Errorf("below %q folders import each other: %s", level, strings.Join(cycle, " → "))
		}
	}
	// the search itself
	if cycle := findCycle(folderImports(map[string][]string{"a/b": {"c/d"}, "c/e": {"a/f"}, "g": {"a/b"}})[""]); len(cycle) != 3 {
		t.Errorf("a cycle of folders without a cycle of packages: %q", cycle)
	}
}

// folderImports returns, for each folder that holds others, which of those imports
// which; the folder's own package is ".".
func folderImports(all map[string][]string) map[string]map[string][]string {
	levels := make(map[string]map[string][]string)
	for path, imported := range all {
		from := strings.Split(path, "/")
		for _, i := range imported {
			to := strings.Split(i, "/")
			n := 0
			for n < min(len(from), len(to)) && from[n] == to[n] {
				n++
			}
			level := strings.Join(from[:n], "/")
			if levels[level] == nil {
				levels[level] = make(map[string][]string)
			}
			a, b := child(from, n), child(to, n)
			levels[level][a] = append(levels[level][a], b)
		}
	}
	return levels
}

// child returns the folder, or the package, at a level that a path leads to.
func child(path []string, level int) string {
	if level == len(path) {
		return "."
	}
	return path[level]
}

// findCycle returns a cycle, its first node at its end again, nil if there is none.
func findCycle(edges map[string][]string) []string {
	done := make(map[string]bool)
	var visit func(node string, way []string) []string
	visit = func(node string, way []string) []string {
		if i := slices.Index(way, node); i >= 0 {
			return append(way[i:], node)
		}
		if done[node] {
			return nil
		}
		for _, next := range edges[node] {
			if cycle := visit(next, append(way, node)); cycle != nil {
				return cycle
			}
		}
		done[node] = true
		return nil
	}
	for node := range edges {
		if cycle := visit(node, nil); cycle != nil {
			return cycle
		}
	}
	return nil
}

// The engine names no connector: what it says holds for all of them.
func TestEngineKnowsNoConnector(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if files++; strings.Contains(strings.ToLower(string(text)), "kafka") {
			t.Errorf("engine/%s speaks of Kafka", path)
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("%d files: %v", files, err)
	}
}
