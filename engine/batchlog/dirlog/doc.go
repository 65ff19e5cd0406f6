// Package dirlog is the batch log in a directory: segments of framed entries.
// Allocations are synced to the disk; completions are written at once and synced
// with the next allocation. A segment that has grown is replaced by a new one
// that begins with the state so far.
package dirlog
