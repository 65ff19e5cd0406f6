package remote

import (
	"os"

	"golang.org/x/sys/unix"
)

// free gives the room back that a part of a file takes on the disk, where the file system
// can: the file keeps its length, and has a hole there.
func free(f *os.File, from, length int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, length)
}
