package process

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// allowed lists what a daemon hands on of its environment to the processes of jobs:
// what a program needs to find its way about on the machine. What else is there is
// the daemon's own, and may be a secret.
func allowed() []string {
	return []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LD_LIBRARY_PATH", // the machine
		"LANG", "LANGUAGE", "TZ", "ZONEINFO", // languages and times; LC_… too
		"SSL_CERT_FILE", "SSL_CERT_DIR", // whom to trust
		"GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR", // Go's runtime
	}
}

// Environ returns the environment of a job's process: of this process's, what any
// program needs, and the variables that are named in pass. They are NAME=value.
func Environ(pass []string) []string {
	names := append(allowed(), pass...)
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "LC_") || slices.Contains(names, name) {
			env = append(env, pair)
		}
	}
	return env
}

// CheckPass makes sure that a variable may be handed on to jobs by its name. Its error
// says [wire.ErrInvalid].
func CheckPass(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00 "):
		return wire.Misuse(fmt.Sprintf("%q is no name of an environment variable; its value comes from the daemon's own environment", name))
	case name == role.Env:
		return wire.Misuse(name + " is set by the daemons themselves")
	}
	return nil
}
