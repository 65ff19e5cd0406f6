package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"strings"
)

// PrintFlags prints the flags of a command for its help, like
// [flag.FlagSet.PrintDefaults] but with two dashes, as they are written
// everywhere else. One dash does as well.
func PrintFlags(w io.Writer, f *flag.FlagSet) {
	out := f.Output()
	defer f.SetOutput(out)
	var text bytes.Buffer
	f.SetOutput(&text)
	f.PrintDefaults()
	for line := range strings.Lines(text.String()) {
		if name, ok := strings.CutPrefix(line, "  -"); ok {
			line = "  --" + name
		}
		fmt.Fprint(w, line)
	}
}
