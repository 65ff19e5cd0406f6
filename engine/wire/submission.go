package wire

import (
	"fmt"
	"strings"
)

// maxSubmission bounds a submission id, in bytes.
const maxSubmission = 64

// CheckSubmission makes sure that a submission id goes on a command line and can
// be told from a flag and from a job's number: at most 64 letters, digits, '-', '_'
// and '.', the first a letter or digit, and not digits alone. Its error says
// ErrInvalid.
func CheckSubmission(id string) error {
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if id == "" || len(id) > maxSubmission || strings.Trim(id, digits+letters+"-_.") != "" {
		return Misuse(fmt.Sprintf("submission id %q; letters, digits, '-', '_' and '.' go, at most %d",
			id, maxSubmission))
	}
	if !strings.Contains(digits+letters, id[:1]) || strings.Trim(id, digits) == "" {
		return Misuse(fmt.Sprintf("submission id %q would be taken for a flag or a job's number: it begins with a letter or digit, and isn't digits alone",
			id))
	}
	return nil
}
