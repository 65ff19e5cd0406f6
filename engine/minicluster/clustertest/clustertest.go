// Package clustertest helps tests that run a minicluster, or kill what a seed chooses.
package clustertest

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/minicluster"
)

// startPatience is how long building and starting a cluster may take.
const startPatience = 3 * time.Minute

// Start builds the daemons, and programs beside them, as the go command names packages. It
// starts three drivers and two executors of so many slots, which end with the test and whose
// logs are its output if it fails. The programs are in the directory bin.
func Start(t *testing.T, slots int, programs ...string) (c *minicluster.Cluster, bin string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	bin = t.TempDir()
	const cmd = "github.com/hibana-engine/hibana/cmd/"
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-o", bin + "/", cmd + "engine-driver", cmd + "engine-executor"}, programs...)...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	c, err := minicluster.Start(ctx, minicluster.Config{Bin: bin, Dir: t.TempDir(), Drivers: 3, Executors: 2, Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = c.Logs(t.Output())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, bin
}

// Seed returns the seed of a test's schedule, which it logs: HIBANA_SEED's, or another one
// each time.
func Seed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("HIBANA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("HIBANA_SEED: %v", err)
		}
	}
	t.Logf("seed %d (HIBANA_SEED=%[1]d repeats the schedule)", seed)
	return seed
}
