package state

import "strings"

// Lengths of what names things, in bytes.
const (
	// MaxID bounds the id of a driver or an executor, which people choose.
	MaxID = 64
	// MarkLen is how long the random names of clusters, data directories and
	// processes are.
	MarkLen = 32
)

// ValidID reports whether an id can stand on a command line and in a greeting between
// drivers.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}) < 0
}

// ValidMark reports whether s may name a cluster, a data directory or a process.
func ValidMark(s string) bool { return ValidID(s) && len(s) <= MarkLen }
