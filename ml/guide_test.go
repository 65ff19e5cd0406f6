package ml_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What docs/ml.md shows of images in and boxes out is code of the examples, which compile.
func TestGuide(t *testing.T) {
	page, err := os.ReadFile("../docs/ml.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range append(files, "vision/example_test.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	_, section, _ := strings.Cut(string(page), "\n## Bring your network\n")
	section, _, _ = strings.Cut(section, "\n## ")
	all, blocks := words(code.String()), strings.Split(section, "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(all, words(block)) {
			t.Errorf("no example has this code of docs/ml.md:\n%s", block)
		}
	}
	if len(blocks) < 5 {
		t.Errorf("%d pieces of code; the section isn't where it was", len(blocks))
	}
}

// words is text without its line breaks and indentation.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
