package cli

import (
	"errors"
	"flag"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	built := []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}}
	revision := append(built, debug.BuildSetting{Key: "vcs.revision", Value: "ab7f7a0123456789"})
	for want, info := range map[string]debug.BuildInfo{
		"github.com/hibana-engine/hibana v1.2.3, go1.26.1, linux/amd64": {
			GoVersion: "go1.26.1", Main: debug.Module{Path: module, Version: "v1.2.3"}, Settings: built,
		},
		"github.com/hibana-engine/hibana (devel), revision ab7f7a012345, go1.26.1, linux/amd64": {
			GoVersion: "go1.26.1", Main: debug.Module{Path: module, Version: "(devel)"}, Settings: revision,
		},
		"example.com/words v0.1.0, github.com/hibana-engine/hibana v1.2.3, revision ab7f7a012345 and changes, go1.26.1, linux/amd64": {
			GoVersion: "go1.26.1", Main: debug.Module{Path: "example.com/words", Version: "v0.1.0"},
			Deps:     []*debug.Module{{Path: "example.com/other", Version: "v9.0.0"}, {Path: module, Version: "v1.2.3"}},
			Settings: append(revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
		},
		"example.com/words (devel), github.com/hibana-engine/hibana => ../hibana (devel), go1.26.1": {
			GoVersion: "go1.26.1", Main: debug.Module{Path: "example.com/words"},
			Deps: []*debug.Module{{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "../hibana"}}},
		},
		"a program (devel), go1.26.1": {GoVersion: "go1.26.1"},
	} {
		if got := describe(&info); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// --version is answered on out, unless the program has a flag of that name.
func TestVersionFlag(t *testing.T) {
	for _, own := range []bool{false, true} {
		f := flag.NewFlagSet("words", flag.ContinueOnError)
		if own {
			f.String("version", "", "of the words")
		}
		AddVersion(f)
		AddVersion(f) // a program may be run again
		var out strings.Builder
		err := Parse(f, []string{"--version", "v2"}, &out, nil)
		if says := strings.HasPrefix(out.String(), "words: ") && strings.Count(out.String(), "\n") == 1; says == own || errors.Is(err, flag.ErrHelp) == own {
			t.Errorf("with a flag of its own: %t; %v, it said %q", own, err, &out)
		}
	}
}
