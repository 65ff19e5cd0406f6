//go:build !linux

package minicluster

import "os/exec"

// tieToParent does nothing where daemons can't be tied.
func tieToParent(*exec.Cmd) {}
