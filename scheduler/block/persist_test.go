package block_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// keeper is an executor's blocks, and tasks that use them.
type keeper struct {
	*block.Store
	dir string
}

func newKeeper(t *testing.T, limit int64) keeper {
	t.Helper()
	k := keeper{dir: t.TempDir()}
	k.Store = block.NewStore(limit, k.dir)
	t.Cleanup(func() {
		if err := k.Close(); err != nil || k.Budget().Used() != 0 || k.Disk().Files() != 0 {
			t.Errorf("%v; %d bytes, %d files are left", err, k.Budget().Used(), k.Disk().Files())
		}
	})
	return k
}

// task returns the context of a task.
func (k keeper) task(t *testing.T) *task.Context {
	tc := rddtest.NewReference().Task(&lineage.Node{}, 0)
	tc.Context, tc.Batch, tc.Cache = t.Context(), 1, k.Partitions()
	return tc
}

// read collects a partition.
func read[T any](r *rdd.RDD[T], tc *task.Context, partition int) (all []T, err error) {
	for v, err := range r.Compute(tc, partition) {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// words returns an RDD of n words of 32 bytes in one partition, and counts in calls how
// many were made.
func words(n int, calls *int) *rdd.RDD[string] {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return rdd.Map(rdd.Parallelize(rddtest.NewBatch(1, 1), numbers, rdd.Partitions(1)), func(i int) string { *calls++; return fmt.Sprintf("%032d", i) })
}

// files returns the paths of the blocks' files.
func (k keeper) files(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(k.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// However much memory there is, a partition that is kept is read as it was computed; how
// often it is computed, and where it is, depend on the level.
func TestPersist(t *testing.T) {
	const n = 5000 // 5000 × (16 + 34) bytes are 250 KB
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%032d", i))
	}
	for _, tt := range []struct {
		level rdd.StorageLevel
		limit int64
		times int // that it is computed, of three
		files int
		used  bool // memory
	}{
		{rdd.MemoryOnly, 1 << 20, 1, 0, true},
		{rdd.MemoryOnly, 100 << 10, 3, 0, false},
		{rdd.MemoryAndDisk, 1 << 20, 1, 0, true},
		{rdd.MemoryAndDisk, 100 << 10, 1, 1, false},
		{rdd.MemoryAndDisk, 0, 1, 1, false},
		{rdd.DiskOnly, 1 << 20, 1, 1, false},
		{rdd.DiskOnly, 100 << 10, 1, 1, false},
	} {
		t.Run(fmt.Sprintf("%s in %d", tt.level, tt.limit), func(t *testing.T) {
			k := newKeeper(t, tt.limit)
			calls := 0
			r := words(n, &calls).Persist(tt.level)
			for range 3 {
				if got, err := read(r, k.task(t), 0); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%d elements, %v", len(got), err)
				}
			}
			if calls != tt.times*n || len(k.files(t)) != tt.files || (k.Budget().Used() > 0) != tt.used {
				t.Errorf("computed %d times, %d files, %d bytes in memory", calls/n, len(k.files(t)), k.Budget().Used())
			}
			if used := k.Budget().Used(); tt.used && (used < 250_000 || used > 500_000) {
				t.Errorf("it is thought to take %d bytes", used)
			}
			if k.Forget(2); k.Budget().Used() != 0 || len(k.files(t)) != 0 {
				t.Errorf("forgotten, %d bytes and %d files are left", k.Budget().Used(), len(k.files(t)))
			}
		})
	}
}

// When memory is needed a partition goes to disk, and is read from there.
func TestPersistIsEvicted(t *testing.T) {
	k := newKeeper(t, 600<<10)
	calls := 0
	r := words(5000, &calls).Persist(rdd.MemoryAndDisk)
	if _, err := read(r, k.task(t), 0); err != nil || len(k.files(t)) != 0 {
		t.Fatal(err)
	}
	other := k.NewTask(t.Context())
	for other.Grow(10_000) {
	}
	if len(k.files(t)) != 1 {
		t.Fatalf("%d files, %d bytes in memory", len(k.files(t)), k.Budget().Used())
	}
	if got, err := read(r, k.task(t), 0); err != nil || len(got) != 5000 || calls != 5000 {
		t.Errorf("%d elements, %v; computed %d times", len(got), err, calls/5000)
	}
	other.Close()
}

// A partition that the disk doesn't take is computed again for who reads it, and what its
// task counts is counted once.
func TestPersistOnFullDisk(t *testing.T) {
	const n = 5000
	for _, tt := range []struct {
		level rdd.StorageLevel
		limit int64
		times int // that it is computed, of two
	}{
		{rdd.MemoryAndDisk, 100 << 10, 4},
		{rdd.DiskOnly, 1 << 20, 2},
		{rdd.DiskOnly, 100 << 10, 4},
	} {
		t.Run(fmt.Sprintf("%s in %d", tt.level, tt.limit), func(t *testing.T) {
			k := newKeeper(t, tt.limit)
			block.Fill(t, k.Store)
			calls := 0
			in := words(n, &calls)
			seen := rdd.NewAccumulator(in.Context(), "seen", 0, func(a, b int) int { return a + b })
			r := rdd.MapPartitions(in, func(p rdd.Part, in iter.Seq[string]) iter.Seq[string] {
				return func(yield func(string) bool) {
					for w := range in {
						if seen.Add(p, 1); !yield(w) {
							return
						}
					}
				}
			}).Persist(tt.level)
			for range 2 {
				tc := k.task(t)
				got, err := read(r, tc, 0)
				if err != nil || len(got) != n || got[n-1] != fmt.Sprintf("%032d", n-1) {
					t.Fatalf("%d elements, %v", len(got), err)
				}
				updates, err := tc.Updates()
				if err != nil || len(updates) != 1 || !bytes.Equal(updates[0].Data, []byte{0xcd, n >> 8, n & 0xff}) {
					t.Errorf("the task counted %x, %v", updates, err)
				}
				if tc.Counted().NotKept != 1 {
					t.Errorf("%d partitions weren't kept", tc.Counted().NotKept)
				}
			}
			if calls != tt.times*n || len(k.files(t)) != 0 || k.Budget().Used() != 0 {
				t.Errorf("computed %d times, %d files, %d bytes in memory", calls/n, len(k.files(t)), k.Budget().Used())
			}
		})
	}
}

// A partition that is on its way from memory to a full disk is read where it is if the task
// may hold it, and computed again if not.
func TestUnwrittenPartitionIsHeld(t *testing.T) {
	const n = 5000
	for _, tt := range []struct {
		what   string
		mayNot bool
		calls  int
		least  int64 // bytes held, when the last element is read
	}{{"may hold it", false, n, 250_000}, {"may hold nothing", true, 2 * n, 0}} {
		k := newKeeper(t, 1<<20)
		block.Fill(t, k.Store)
		calls := 0
		r := words(n, &calls).Persist(rdd.DiskOnly)
		memory := k.NewTask(t.Context())
		if tt.mayNot {
			memory.Close()
		}
		tc := k.task(t)
		tc.Memory = memory
		read, held := 0, int64(0)
		for _, err := range r.Compute(tc, 0) {
			if err != nil {
				t.Fatal(err)
			}
			read, held = read+1, k.Budget().Used()
		}
		if read != n || calls != tt.calls || held < tt.least || held > 2*tt.least || tc.Counted().NotKept != 1 {
			t.Errorf("%s: %d elements, %d calls, %d bytes held, counted %+v", tt.what, read, calls, held, tc.Counted())
		}
		if used := k.Budget().Used(); used != 0 {
			t.Errorf("%s: %d bytes are held afterwards", tt.what, used)
		}
		memory.Close()
	}
}

// When memory is needed and the disk is full, kept partitions go: they can be computed
// again.
func TestEvictedOnFullDisk(t *testing.T) {
	k := newKeeper(t, 600<<10)
	block.Fill(t, k.Store)
	calls := 0
	r := words(5000, &calls).Persist(rdd.MemoryAndDisk)
	if _, err := read(r, k.task(t), 0); err != nil || k.Len() != 1 {
		t.Fatal(err)
	}
	other := k.NewTask(t.Context())
	for other.Grow(10_000) {
	}
	if k.Len() != 0 || len(k.files(t)) != 0 {
		t.Errorf("%d blocks and %d files are left", k.Len(), len(k.files(t)))
	}
	other.Close()
	if got, err := read(r, k.task(t), 0); err != nil || len(got) != 5000 || calls != 2*5000 {
		t.Errorf("%d elements, %v; computed %d times", len(got), err, calls/5000)
	}
}

// Who reads a partition that doesn't fit, and reads it again meanwhile, waits for nobody.
func TestTooLargeKeepsNobodyWaiting(t *testing.T) {
	k := newKeeper(t, 1<<10)
	calls := 0
	r := words(500, &calls).Cache()
	n := 0
	for _, err := range r.Compute(k.task(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 || n == 400 {
			if got, err := read(r, k.task(t), 0); err != nil || len(got) != 500 {
				t.Errorf("%d elements, %v", len(got), err)
			}
		}
	}
	if n != 500 || calls != 1500 || k.Partitions().Len() != 0 {
		t.Errorf("%d elements, %d computed, %d partitions kept", n, calls, k.Partitions().Len())
	}
	for range r.Compute(k.task(t), 0) {
		break // who has enough
	}
	if k.Budget().Used() != 0 {
		t.Errorf("%d bytes are held", k.Budget().Used())
	}
}

// What can't be read is computed again, and kept again.
func TestDamagedPartition(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut off": func(path string) error { return os.Truncate(path, 100) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
	} {
		k := newKeeper(t, 1<<20)
		calls := 0
		r := words(100, &calls).Persist(rdd.DiskOnly)
		for range 2 {
			if got, err := read(r, k.task(t), 0); err != nil || len(got) != 100 {
				t.Fatal(name, len(got), err)
			}
			if err := damage(k.files(t)[0]); err != nil {
				t.Fatal(err)
			}
			if got, err := read(r, k.task(t), 0); err != nil || len(got) != 100 {
				t.Fatal(name, len(got), err)
			}
			if got, err := read(r, k.task(t), 0); err != nil || len(got) != 100 {
				t.Fatal(name, len(got), err)
			}
		}
		if calls != 300 {
			t.Errorf("%s: computed %d times, not 3", name, calls/100)
		}
	}
}

// Damage that is found after some elements were read fails the task, whose next attempt
// computes the partition: nobody gets an element twice.
func TestDamagedLate(t *testing.T) {
	k := newKeeper(t, 1<<20)
	calls := 0
	r := words(5000, &calls).Persist(rdd.DiskOnly)
	if _, err := read(r, k.task(t), 0); err != nil {
		t.Fatal(err)
	}
	path := k.files(t)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := read(r, k.task(t), 0)
	if !errors.Is(err, block.ErrCorrupt) || !strings.Contains(err.Error(), "map at block/persist_test.go:") || len(got) == 0 || len(got) >= 5000 {
		t.Errorf("%d elements, %v", len(got), err)
	}
	if got, err := read(r, k.task(t), 0); err != nil || len(got) != 5000 || calls != 10_000 {
		t.Errorf("the next attempt: %d elements, %v; computed %d times", len(got), err, calls/5000)
	}
}

// A failed or killed computation leaves nothing.
func TestFailedPartition(t *testing.T) {
	k := newKeeper(t, 1<<10)
	bad := errors.New("bad")
	for _, level := range []rdd.StorageLevel{rdd.MemoryOnly, rdd.MemoryAndDisk, rdd.DiskOnly} {
		numbers := rdd.Parallelize(rddtest.NewBatch(1, 1), make([]int, 1000), rdd.Partitions(1))
		n := 0
		r := rdd.TryMapPartitions(numbers, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for v, err := range in {
					if n++; n == 900 {
						err = bad
					}
					if !yield(v, err) || err != nil {
						return
					}
				}
			}
		}).Persist(level)
		if _, err := read(r, k.task(t), 0); !errors.Is(err, bad) {
			t.Errorf("%s: %v", level, err)
		}
		if got, err := read(r, k.task(t), 0); err != nil || len(got) != 1000 {
			t.Errorf("%s, again: %d, %v", level, len(got), err)
		}
		killed := k.task(t)
		ctx, kill := context.WithCancelCause(t.Context())
		killed.Context = ctx
		kill(bad)
		k.Forget(0)
		k.Drop(func(block.ID) bool { return true })
		if _, err := read(r, killed, 0); !errors.Is(err, bad) {
			t.Errorf("%s, killed: %v", level, err)
		}
		if k.Budget().Used() != 0 || len(k.files(t)) != 0 || k.Len() != 0 {
			t.Errorf("%s: %d bytes, %d files are left", level, k.Budget().Used(), len(k.files(t)))
		}
	}
}

func TestPersistRefuses(t *testing.T) {
	sc := rddtest.NewBatch(1, 1)
	r := rdd.Parallelize(sc, []chan int{nil}, rdd.Partitions(1))
	if r.Cache(); sc.Lineage().Err() != nil {
		t.Errorf("in memory anything can be kept: %v", sc.Lineage().Err())
	}
	k := newKeeper(t, 1<<20)
	if got, err := read(r, k.task(t), 0); err != nil || len(got) != 1 || k.Partitions().Len() != 1 {
		t.Error(got, err)
	}
	if r.Unpersist(); r.Node().Cached() {
		t.Error("it is still to be kept")
	}
	r.Persist(rdd.DiskOnly)
	if err := sc.Lineage().Err(); !errors.Is(err, encoding.ErrUnencodable) || !strings.Contains(err.Error(), "persist at block/persist_test.go:") {
		t.Errorf("a channel on disk: %v", err)
	}
	sc = rddtest.NewBatch(1, 1)
	rdd.Parallelize(sc, []int{1}, rdd.Partitions(1)).Persist(7)
	if err := sc.Lineage().Err(); !errors.Is(err, rdd.ErrStorageLevel) {
		t.Errorf("level 7: %v", err)
	}
}

// Large elements are taken into account one by one.
func TestLargeElements(t *testing.T) {
	k := newKeeper(t, 4<<20)
	sc := rddtest.NewBatch(1, 1)
	numbers := rdd.Parallelize(sc, []int{1, 2, 3, 4, 5, 6, 7, 8}, rdd.Partitions(1))
	r := rdd.Map(numbers, func(i int) []byte {
		if used := k.Budget().Used(); used > 5<<20 {
			t.Errorf("%d bytes are in use", used)
		}
		return bytes.Repeat([]byte{byte(i)}, 1<<20)
	}).Persist(rdd.MemoryAndDisk)
	got, err := read(r, k.task(t), 0)
	if err != nil || len(got) != 8 || len(k.files(t)) != 1 {
		t.Errorf("%d elements, %v; %d files", len(got), err, len(k.files(t)))
	}
}

// brittle can't be encoded if it is negative.
type brittle int

func (b brittle) MarshalText() ([]byte, error) {
	if b < 0 {
		panic("it broke")
	}
	return fmt.Append(nil, int(b)), nil
}

func (b *brittle) UnmarshalText(text []byte) error {
	_, err := fmt.Sscan(string(text), (*int)(b))
	return err
}

// An encoder that panics when a partition is to make room takes no other task with it: the
// partition is dropped. In a task that needs it on disk the operator is to blame whose
// records they are.
func TestEncoderOfEvictedPartition(t *testing.T) {
	k := newKeeper(t, 600<<10)
	numbers := rdd.Parallelize(rddtest.NewBatch(1, 1), make([]int, 30_000), rdd.Partitions(1))
	made := rdd.Map(numbers, func(int) brittle { return -1 }).Persist(rdd.MemoryAndDisk)
	r := rdd.Map(made, func(b brittle) int { return int(b) })
	if _, err := read(r, k.task(t), 0); err != nil || k.Partitions().Len() != 1 {
		t.Fatal(err)
	}
	other := k.NewTask(t.Context())
	for other.Grow(10_000) {
	}
	if n := k.Partitions().Len(); n != 0 || len(k.files(t)) != 0 {
		t.Errorf("%d partitions and %d files are left", n, len(k.files(t)))
	}
	_, err := read(r, k.task(t), 0) // there is no room now
	p, ok := errors.AsType[*rdd.PanicError](err)
	if !ok || p.Op != "map" || p.Site != made.Node().Site || !strings.Contains(p.Cause(), "it broke") || len(k.files(t)) != 0 {
		t.Errorf("%v, %d files", err, len(k.files(t)))
	}
	other.Close()
}

// A program may change what is kept while a task of a step that failed runs on.
func TestPersistDuringTask(t *testing.T) {
	k := newKeeper(t, 1<<20)
	calls := 0
	r := words(10, &calls)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		for range 200 {
			if got, err := read(r, k.task(t), 0); err != nil || len(got) != 10 {
				t.Errorf("%d elements, %v", len(got), err)
			}
		}
	})
	for range 100 {
		r.Persist(rdd.MemoryAndDisk).Unpersist().Cache().Unpersist()
	}
}
