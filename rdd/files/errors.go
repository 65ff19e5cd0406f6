package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gocloud.dev/gcerrors"
)

// Errors of this package, for errors.Is.
var (
	// ErrAddress: a path or URL can't be one.
	ErrAddress = errors.New("not an address of files")
	// ErrMissing: there is no such file.
	ErrMissing = errors.New("there is no such file")
	// ErrAccess: the file or bucket may not be used.
	ErrAccess = errors.New("access is denied")
	// ErrTooLarge: a file, or a list of files, is larger than the limit.
	ErrTooLarge = errors.New("it is too large")
	// ErrExists: an output is there already.
	ErrExists = errors.New("the output directory is there already")
	// ErrUnfinished: a directory was begun and not finished.
	ErrUnfinished = errors.New("the directory isn't whole")
	// ErrDamaged: bytes aren't what was written.
	ErrDamaged = errors.New("the file is damaged")
)

// lacksCredentials reports whether a driver says that it has no credentials, for which drivers
// have no code. That the file is called so doesn't count.
func lacksCredentials(name string, err error) bool {
	const word = "credentials"
	if _, isLocal := errors.AsType[*fs.PathError](err); isLocal {
		return false
	}
	says := err.Error()
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune("/? ", r) }) {
		if strings.Contains(part, word) {
			says = strings.ReplaceAll(says, part, "")
		}
	}
	return strings.Contains(says, word)
}

// explained says of a driver's error where and what to do.
func explained(what, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s: %w", what, name, err)
	}
	code := gcerrors.Code(err)
	switch {
	case code == gcerrors.NotFound || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w", what, name, ErrMissing)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w: %w", what, name, ErrAccess, err)
	case code == gcerrors.PermissionDenied || lacksCredentials(name, err):
		return fmt.Errorf("%s %s: %w; every process of the job needs credentials for it: %w", what, name, ErrAccess, err)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}
