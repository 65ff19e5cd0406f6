//go:build !linux

package driver

// newPreciseTicker returns nil: there is none here.
func newPreciseTicker() ticker { return nil }
