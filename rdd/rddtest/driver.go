package rddtest

import "github.com/hibana-engine/hibana/rdd/lineage"

// Value implements rdd.Runner: there is one copy of the program.
func (e *Reference) Value(_ lineage.Site, compute func() ([]byte, error)) ([]byte, error) {
	return compute()
}

// OnDriver implements rdd.Runner.
func (e *Reference) OnDriver(_ lineage.Site, f func() error) error { return f() }
