// Package disktest makes full disks for tests.
package disktest

import "testing"

// Small mounts a file system of a size, such as "16m", and returns its directory.
// grow changes the size. Options are added to the mount's. Where nothing can be
// mounted the test is skipped, and says so.
func Small(t *testing.T, size string, options ...string) (dir string, grow func(size string)) {
	t.Helper()
	dir = t.TempDir()
	mount(t, dir, size, options)
	return dir, func(size string) {
		t.Helper()
		resize(t, dir, size)
	}
}
