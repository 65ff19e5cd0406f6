package cli

import (
	"cmp"
	"flag"
	"runtime/debug"
	"strings"
)

// module is Hibana's.
const module = "github.com/hibana-engine/hibana"

// AddVersion adds --version, which [Parse] answers, to the flags of a program, unless it has
// a flag of that name.
func AddVersion(f *flag.FlagSet) {
	if f.Lookup("version") == nil {
		f.Var(new(versionFlag), "version", "print of which version this is, and end")
	}
}

// versionFlag is the value of --version: whether it was given.
type versionFlag struct{ given bool }

// String returns the default, which the help doesn't print.
func (v *versionFlag) String() string { return "" }

// IsBoolFlag says that the flag needs no value.
func (v *versionFlag) IsBoolFlag() bool { return true }

// Set notes that the flag was given.
func (v *versionFlag) Set(string) error {
	v.given = true
	return nil
}

// asksVersion reports whether the flag of AddVersion was given.
func asksVersion(f *flag.FlagSet) bool {
	fl := f.Lookup("version")
	if fl == nil {
		return false
	}
	v, ours := fl.Value.(*versionFlag)
	return ours && v.given
}

// Version returns of which version the program is, as its build says: its module, Hibana's if
// that is another one, the revision if it was built in a repository, Go, and the platform.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "its build doesn't say of which version it is"
	}
	return describe(info)
}

// revisionDigits is how much is shown of a revision.
const revisionDigits = 12

// describe returns what people are told of a build.
func describe(info *debug.BuildInfo) string {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	parts := []string{nameModule(&info.Main)}
	for _, d := range info.Deps {
		if d.Path == module {
			parts = append(parts, nameModule(d))
		}
	}
	if r := setting["vcs.revision"]; r != "" {
		text := "revision " + r[:min(revisionDigits, len(r))]
		if setting["vcs.modified"] == "true" {
			text += " and changes"
		}
		parts = append(parts, text)
	}
	parts = append(parts, info.GoVersion)
	if setting["GOOS"] != "" {
		parts = append(parts, setting["GOOS"]+"/"+setting["GOARCH"])
	}
	return strings.Join(parts, ", ")
}

// nameModule returns a module with its version; of one that is replaced, what it is replaced by.
func nameModule(m *debug.Module) string {
	name := m.Path
	if m.Replace != nil {
		name, m = name+" => "+m.Replace.Path, m.Replace
	}
	return cmp.Or(name, "a program") + " " + cmp.Or(m.Version, "(devel)")
}
