//go:build !linux

package remote

import "os"

// free does nothing: the room is given back when all of the file is forgotten.
func free(*os.File, int64, int64) {}
