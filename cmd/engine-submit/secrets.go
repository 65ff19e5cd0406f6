package main

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// secretFile is a secret of a job as the command line names it.
type secretFile struct{ name, path string }

// parseSecret reads a value of --secret.
func parseSecret(pair string) (secretFile, error) {
	name, path, ok := strings.Cut(pair, "=")
	if !ok || name == "" || path == "" {
		return secretFile{}, fmt.Errorf("it is not NAME=FILE; the secret itself stands in the file")
	}
	return secretFile{name, path}, nil
}

// readSecrets reads the files of secrets, which only this user may read. A line break
// at the end of a file isn't part of its secret.
func readSecrets(files []secretFile) ([]wire.Secret, error) {
	var all []wire.Secret
	for _, f := range files {
		b, err := security.ReadPrivate(f.path)
		if err != nil {
			return nil, fmt.Errorf("reading the secret %s: %w", f.name, err)
		}
		value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		all = append(all, wire.Secret{Name: f.name, Value: value})
	}
	if err := wire.CheckSecrets(all); err != nil {
		return nil, fmt.Errorf("%w: --secret: %w", errUsage, err)
	}
	return all, nil
}
