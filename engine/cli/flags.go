package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// UnknownFlagError says that a command line has a flag that there isn't.
type UnknownFlagError struct {
	Flag  string // without dashes
	Meant string // the flag that may be meant, "" if none is near
}

// UnknownFlag begins what an UnknownFlagError says; the flag's name follows.
const UnknownFlag = "unknown flag --"

// Error names the flag, and the one that may be meant.
func (e *UnknownFlagError) Error() string {
	text := UnknownFlag + e.Flag
	if e.Meant != "" {
		text += "; did you mean --" + e.Meant + "?"
	}
	return text
}

// How package flag begins what it says, which has no errors of its own for that.
const (
	notDefined = "flag provided but not defined: -"
	noArgument = "flag needs an argument: -"
)

// Parse reads the command line of a program. What is asked for with --help, which usage
// prints, or with the flag of [AddVersion] it prints to out, and returns flag.ErrHelp then.
// What is wrong is said as by [ParseFlags].
func Parse(f *flag.FlagSet, args []string, out io.Writer, usage func(w io.Writer)) error {
	f.Usage = func() {} // it is printed below, and only when it was asked for
	f.SetOutput(io.Discard)
	err := ParseFlags(f, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(out)
	case err == nil && asksVersion(f):
		fmt.Fprintf(out, "%s: %s\n", f.Name(), Version())
		err = flag.ErrHelp
	}
	return err
}

// ParseFlags is f.Parse(args) with errors that write flags with two dashes, as they are
// written everywhere else, and say what a flag takes. Of a flag that there isn't the error is an
// [UnknownFlagError].
func ParseFlags(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, notDefined); ok {
		var known []string
		f.VisitAll(func(fl *flag.Flag) { known = append(known, fl.Name) })
		return &UnknownFlagError{Flag: name, Meant: Nearest(name, known)}
	}
	if name, ok := strings.CutPrefix(text, noArgument); ok {
		return fmt.Errorf("--%s needs a value: --%[1]s=…, or the value behind it", name)
	}
	if value, name, why, ok := cutInvalid(text); ok {
		if fl := f.Lookup(name); fl != nil && why == "parse error" {
			why = takes(fl.Value)
		}
		return fmt.Errorf("invalid value %s for flag --%s: %s", value, name, why)
	}
	return err
}

// cutInvalid takes apart what package flag says of a value that a flag doesn't take.
func cutInvalid(text string) (value, name, why string, ok bool) {
	rest, ok := strings.CutPrefix(text, "invalid value ")
	if !ok {
		rest, ok = strings.CutPrefix(text, "invalid boolean value ")
	}
	value, err := strconv.QuotedPrefix(rest)
	if !ok || err != nil {
		return "", "", "", false
	}
	rest = strings.TrimPrefix(rest[len(value):], " for ")
	name, why, ok = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rest, "flag "), "-"), ": ")
	return value, name, why, ok
}

// takes says what a flag takes, of a type of package flag.
func takes(v flag.Value) string {
	g, _ := v.(flag.Getter)
	if g == nil {
		return "it can't be read"
	}
	switch g.Get().(type) {
	case bool:
		return "it takes true or false"
	case uint, uint64:
		return "it takes a whole number from 0 on"
	case int, int64:
		return "it takes a whole number"
	case time.Duration:
		return "it takes a duration, which has a unit, e.g. 500ms or 2s"
	}
	return "it takes a number"
}

// SeeHelp returns what goes behind an error of a command line: where its flags are listed.
func SeeHelp(err error, help string) string {
	if strings.HasSuffix(err.Error(), "?") { // it ends a sentence
		return " See " + help
	}
	return "; see " + help
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
