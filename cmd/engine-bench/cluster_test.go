package main

import (
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/role"
)

// A job refuses to be told where it runs.
func TestStreamArgs(t *testing.T) {
	if args := streamArgs("local[2]", "b:1"); !slices.Contains(args, "local[2]") {
		t.Errorf("alone %q", args)
	}
	t.Setenv(role.Env, role.Driver)
	if args := streamArgs("local[2]", "b:1"); slices.Contains(args, "--master") || !slices.Contains(args, "b:1") {
		t.Errorf("in a job %q", args)
	}
}
