//go:build !linux

package minicluster

import "os/exec"

// dieWithParent does nothing where daemons can't be made to.
func dieWithParent(*exec.Cmd) {}
