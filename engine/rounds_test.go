package engine_test

import (
	"runtime"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
)

// A thousand rounds take no more memory than a few: what is kept of each is what executors
// that come later have to be told, its steps and their results.
func TestThousandRoundsInFlatMemory(t *testing.T) {
	const rounds, mostPerRound = 1000, 4 << 10 // bytes; there are some 2 KiB
	var early, late uint64
	inUse := func(bytes *uint64) func() error {
		return func() error {
			runtime.GC()
			runtime.GC() // what cleanups let go
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*bytes = m.HeapAlloc
			return nil
		}
	}
	err := runBatch(t, func(sc *rdd.Context) error {
		points := squares(sc)
		centres, err := kmeans(sc, points, []point{{0, 0}, {1, 1}}, rounds/10)
		if err != nil {
			return err
		}
		sc.OnDriver(inUse(&early))
		_, err = kmeans(sc, points, centres, rounds)
		sc.OnDriver(inUse(&late))
		return err
	})
	t.Logf("%d bytes in use after %d rounds, %d after %d more", early, rounds/10, late, rounds)
	if err != nil || early == 0 || late > early+rounds*mostPerRound {
		t.Errorf("%d bytes are in use after %d rounds, %d after %d more; %v", early, rounds/10, late, rounds, err)
	}
}
