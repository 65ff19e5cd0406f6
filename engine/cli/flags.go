package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"strings"
)

// UnknownFlagError says that a command line has a flag that there isn't.
type UnknownFlagError struct {
	Flag  string // without dashes
	Meant string // the flag that may be meant, "" if none is near
}

// Error names the flag, and the one that may be meant.
func (e *UnknownFlagError) Error() string {
	text := notDefined + e.Flag
	if e.Meant != "" {
		text += " (did you mean --" + e.Meant + "?)"
	}
	return text
}

// notDefined is how package flag says it, which has no error of its own for that.
const notDefined = "flag provided but not defined: -"

// ParseFlags is f.Parse(args), which says of a flag that there isn't which one may be
// meant: such an error is an [UnknownFlagError].
func ParseFlags(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil {
		return nil
	}
	name, ok := strings.CutPrefix(err.Error(), notDefined)
	if !ok {
		return err
	}
	var known []string
	f.VisitAll(func(fl *flag.Flag) { known = append(known, fl.Name) })
	return &UnknownFlagError{Flag: name, Meant: Nearest(name, known)}
}

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
