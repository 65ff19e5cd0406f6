package wire

import (
	"fmt"
	"strings"
)

// Secret is something that a job's processes are told and nobody else, such as a
// password. Printed it is its name.
type Secret struct {
	Name  string `msgpack:"n"` // of the environment variable that the program reads
	Value string `msgpack:"v"` // "" where the job is shown
}

// String returns the name.
func (s Secret) String() string { return s.Name }

// GoString returns the name.
func (s Secret) GoString() string { return s.Name }

// Limits of a job's secrets.
const (
	maxSecrets     = 32
	maxSecretBytes = 32 << 10 // of all names and values together
	maxSecretName  = 128
)

// CheckSecrets makes sure that secrets can be variables of an environment. Its error
// says ErrInvalid or ErrTooLarge, and no value.
func CheckSecrets(all []Secret) error {
	seen := make(map[string]bool)
	n := 0
	for _, s := range all {
		switch {
		case !validVariable(s.Name):
			return Misuse(fmt.Sprintf("secret %q: its name is a variable's: letters, digits and '_', at most %d, the first no digit", s.Name, maxSecretName))
		case strings.HasPrefix(s.Name, "HIBANA_"):
			return Misuse(fmt.Sprintf("secret %s: names that begin with HIBANA_ are the engine's", s.Name))
		case seen[s.Name]:
			return Misuse(fmt.Sprintf("secret %s is there twice", s.Name))
		case s.Value == "" || strings.ContainsRune(s.Value, 0):
			return Misuse(fmt.Sprintf("secret %s is empty or has a zero byte, which no variable can hold", s.Name))
		}
		seen[s.Name] = true
		n += len(s.Name) + len(s.Value)
	}
	if len(all) > maxSecrets || n > maxSecretBytes {
		return fmt.Errorf("%w: %d secrets of %d bytes, at most %d of %d go", ErrTooLarge, len(all), n, maxSecrets, maxSecretBytes)
	}
	return nil
}

// validVariable reports whether a name is an environment variable's.
func validVariable(name string) bool {
	return name != "" && len(name) <= maxSecretName && (name[0] < '0' || name[0] > '9') && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_')
	}) < 0
}

// Shown returns the spec as it may be shown to people: of secrets there are names.
func (s JobSpec) Shown() JobSpec {
	s.Secret = ""
	var names []Secret
	for _, secret := range s.Secrets {
		names = append(names, Secret{Name: secret.Name})
	}
	s.Secrets = names
	return s
}
