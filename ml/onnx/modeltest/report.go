package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// verdict is what came of one result of a test.
type verdict int

const (
	passed  verdict = iota
	folded          // it passed with every input known when the file is read
	refused         // with an error that says why
	wrong           // another value than the test's, or a panic
)

// group is a folder of tests, or a package.
type group struct {
	count   [wrong + 1]int
	reasons map[string]int
	files   []string // lines, of packages
	bad     int      // of them
}

// report collects verdicts.
type report struct {
	verbose bool
	groups  map[string]*group
}

func (r *report) group(name string) *group {
	g := r.groups[name]
	if g == nil {
		g = &group{reasons: map[string]int{}}
		r.groups[name] = g
	}
	return g
}

// add counts a result; why says what is wrong with it, or refused.
func (r *report) add(in, name string, v verdict, why string) {
	g := r.group(in)
	g.count[v]++
	if v < refused {
		return
	}
	g.reasons[reason(why)]++
	if r.verbose || v == wrong {
		fmt.Printf("%s: %s/%s: %s\n", [...]string{refused: "refused", wrong: "WRONG"}[v], in, name, why)
	}
}

// file notes a published file.
func (r *report) file(in, line string, ok bool) {
	g := r.group(in)
	if g.files = append(g.files, line); !ok {
		g.bad++
	}
}

func (r *report) wrong() (n int) {
	for _, g := range r.groups {
		n += g.count[wrong] + g.bad
	}
	return n
}

// place is what differs from test to test in an error: its node, names and numbers.
var place = regexp.MustCompile(`^onnx: |node "[^"]*": |node \d+ \(output "[^"]*"\): |input "[^"]*"|output "[^"]*"|array "[^"]*"|dimension \d+| \(opset \d+\)`)

// reason is an error without the place.
func reason(why string) string {
	why = place.ReplaceAllStringFunc(why, func(s string) string {
		s, _, _ = strings.Cut(s, " ")
		if s == "input" || s == "output" || s == "array" || s == "dimension" {
			return s
		}
		return ""
	})
	if len(why) > 140 {
		why = why[:140] + "…"
	}
	return why
}

// print writes counts and, by frequency, the reasons of what didn't pass.
func (r *report) print(w io.Writer) {
	all := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		g := r.groups[name]
		if total := g.total(); total > 0 {
			fmt.Fprintf(w, "%-18s %d of %d passed (%d of them folded), %d refused, %d wrong\n",
				name, g.count[passed]+g.count[folded], total, g.count[folded], g.count[refused], g.count[wrong])
		}
		for _, line := range g.files {
			fmt.Fprintf(w, "%-18s %s\n", name, line)
		}
		for why, n := range g.reasons {
			all[why] += n
		}
	}
	fmt.Fprintln(w, "what didn't pass, by reason:")
	for _, why := range byCount(all)[:min(len(all), 60)] {
		fmt.Fprintf(w, "%5d %s\n", all[why], why)
	}
}

func (g *group) total() (n int) {
	for _, c := range g.count {
		n += c
	}
	return n
}

func byCount(m map[string]int) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(m[b]-m[a], strings.Compare(a, b))
	})
}

// Where the table goes in its file.
const tableBegin, tableEnd = "<!-- written by make test-models -->\n", "<!-- end -->\n"

// writeTable puts the conformance table between two marks of a file.
func (r *report) writeTable(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q for the table", file, tableBegin, tableEnd)
	}
	return os.WriteFile(file, []byte(before+tableBegin+r.table()+tableEnd+after), 0o644)
}

func (r *report) table() string {
	var b strings.Builder
	b.WriteString("\nThe operators: " + strings.Join(onnx.Operators(), ", ") + ".\n")
	b.WriteString("\n| Tests | Results | Passed | of them folded | Refused | Wrong |\n|---|---|---|---|---|---|\n")
	all, sum := map[string]int{}, &group{}
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		g := r.groups[name]
		if g.total() == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s", name, g.row())
		for i, n := range g.count {
			sum.count[i] += n
		}
		for why, n := range g.reasons {
			all[why] += n
		}
	}
	fmt.Fprintf(&b, "| all | %s\n", sum.row())
	numbers, others := apart(all)
	right, of := sum.count[passed]+sum.count[folded], sum.total()
	for _, n := range others {
		of -= n
	}
	if of > 0 {
		fmt.Fprintf(&b, "Of the %d results that are floats, integers or truth values, by operators of ONNX's own domain, %d pass: %.1f %%.\n", of, right, 100*float64(right)/float64(of))
	}
	b.WriteString("\n| Package | File | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		for _, line := range r.groups[name].files {
			file, what, _ := strings.Cut(line, ": ")
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, file, strings.ReplaceAll(what, "|", `\|`))
		}
	}
	writeReasons(&b, "What of floats, integers and truth values is refused", numbers)
	writeReasons(&b, "What is refused for its elements or its domain", others)
	b.WriteString("\n")
	return b.String()
}

// otherKinds are reasons that have to do with elements that aren't numbers of 8 bits
// or more, with sequences and optional values, or with another domain than ONNX's own.
var otherKinds = regexp.MustCompile(`elements of (string|float[48]|u?int[24]\b)|segments|uses opset 1,|names no opset|ai\.onnx\.preview|operator (Sequence|SplitToSequence|Optional|TfIdfVectorizer|ImageDecoder)|sequences, maps`)

// apart tells the reasons of what a network of numbers may have from the others.
func apart(all map[string]int) (numbers, others map[string]int) {
	numbers, others = map[string]int{}, map[string]int{}
	for why, n := range all {
		if otherKinds.MatchString(why) {
			others[why] = n
		} else {
			numbers[why] = n
		}
	}
	return numbers, others
}

func writeReasons(b *strings.Builder, title string, reasons map[string]int) {
	fmt.Fprintf(b, "\n| Results | %s |\n|---|---|\n", title)
	for _, why := range byCount(reasons) {
		fmt.Fprintf(b, "| %d | %s |\n", reasons[why], strings.ReplaceAll(why, "|", `\|`))
	}
}

func (g *group) row() string {
	return fmt.Sprintf("%d | %d | %d | %d | %d |\n", g.total(), g.count[passed]+g.count[folded], g.count[folded], g.count[refused], g.count[wrong])
}
