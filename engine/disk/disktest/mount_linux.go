package disktest

import (
	"strings"
	"syscall"
	"testing"
)

// mount mounts a tmpfs until the test ends.
func mount(t *testing.T, dir, size string, options []string) {
	t.Helper()
	data := strings.Join(append([]string{"mode=0700", "size=" + size}, options...), ",")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, data); err != nil {
		t.Skipf("a full disk takes a file system of its own, and none can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// resize changes the size of the file system.
func resize(t *testing.T, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		t.Fatal(err)
	}
}
