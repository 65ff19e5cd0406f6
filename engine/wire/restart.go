package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Restart says how often in a row a job that has failed is started again: 0 is never,
// below 0 is without limit. The count begins anew when an output of a batch is done.
type Restart int

// mostRestarts bounds how often a job may be started again.
const mostRestarts = 1000

// ParseRestart reads never, on-failure and on-failure:N. Its error says ErrInvalid.
func ParseRestart(s string) (Restart, error) {
	switch count, limited := strings.CutPrefix(s, "on-failure:"); {
	case s == "never":
		return 0, nil
	case s == "on-failure":
		return -1, nil
	case limited:
		if n, err := strconv.Atoi(count); err == nil && n >= 1 && n <= mostRestarts {
			return Restart(n), nil
		}
	}
	return 0, Misuse(fmt.Sprintf("%q; there are never, on-failure and on-failure:N, N from 1 to %d", s, mostRestarts))
}

// String returns what ParseRestart reads.
func (r Restart) String() string {
	switch {
	case r == 0:
		return "never"
	case r < 0:
		return "on-failure"
	}
	return fmt.Sprintf("on-failure:%d", int(r))
}

// Check makes sure that ParseRestart could have returned it.
func (r Restart) Check() error {
	_, err := ParseRestart(r.String())
	return err
}

// Allows reports whether a job that was started again so often in a row may be once more.
func (r Restart) Allows(before int) bool { return r < 0 || before < int(r) }
