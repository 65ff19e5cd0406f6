package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// inRepository finds a file of the repository: beside this program's folder, as make build
// leaves it, or in the working directory.
func inRepository(path string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, root := range []string{filepath.Join(filepath.Dir(self), ".."), "."} {
		found, err := filepath.Abs(filepath.Join(root, path))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(found); !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return "", fmt.Errorf("%s of the repository isn't there: run make build in a clone of it, then bin/engine-bench: %w", path, fs.ErrNotExist)
}
