package block

import (
	"context"
	"math/rand/v2"
	"testing"
)

// grow takes as much as is granted, in steps.
func grow(s *Share, step int64) int64 {
	for s.Grow(context.Background(), step) {
	}
	return s.Held()
}

func TestSharesAreFair(t *testing.T) {
	b := NewBudget(900)
	first := b.NewShare()
	if n := grow(first, 1); n != 600 {
		t.Errorf("a task that is alone holds %d of 900", n)
	}
	second := b.NewShare()
	if n := grow(second, 1); n != 200 {
		t.Errorf("one that comes later holds %d at once", n)
	}
	if first.Grow(context.Background(), 1) {
		t.Error("who holds the most gets more")
	}
	first.Shrink(600) // it has spilled
	if n := grow(first, 1); n != 466 {
		t.Errorf("then the first holds %d", n)
	}
	second.Close()
	first.Close()
	if b.Used() != 0 {
		t.Errorf("%d bytes are held by nobody", b.Used())
	}
}

// Tasks that spill when they are refused converge: nobody starves, whoever came first.
func TestNobodyStarves(t *testing.T) {
	const limit, tasks = 1 << 20, 8
	b := NewBudget(limit)
	var shares []*Share
	for range tasks {
		s := b.NewShare()
		grow(s, 512)
		shares = append(shares, s)
	}
	most := make([]int64, tasks) // before a spill
	for range 20 {
		for i, s := range shares {
			if grow(s, 512); s.Held() > 0 {
				most[i] = s.Held()
			}
			s.Shrink(s.Held())
		}
	}
	for i, n := range most {
		if n < limit/(4*tasks) {
			t.Errorf("task %d of %d spills every %d bytes, %d would be its share", i, tasks, n, limit/tasks)
		}
	}
}

// keeper is a Holder that gives up at most what it keeps.
type keeper struct {
	b    *Budget
	kept int64
	asks int
}

func (k *keeper) Evict(_ context.Context, n int64) int64 {
	k.asks++
	n = min(n, k.kept)
	k.kept -= n
	k.b.Release(n)
	return n
}

func TestHoldersGiveUp(t *testing.T) {
	b := NewBudget(1000)
	k := &keeper{b: b}
	b.Register(k)
	s := b.NewShare()
	if !s.Grow(t.Context(), 600) {
		t.Fatal("refused in an empty budget")
	}
	k.kept = s.Keep(600)
	if s.Held() != 0 || b.Used() != 600 {
		t.Fatalf("the share holds %d, %d are used", s.Held(), b.Used())
	}
	if !s.Grow(t.Context(), 500) || k.kept != 500 || b.Used() != 1000 {
		t.Errorf("the holder keeps %d, %d are used", k.kept, b.Used())
	}
	if k.asks = 0; s.Grow(t.Context(), 400) || k.asks != 0 {
		t.Error("a holder was asked for what wasn't fair")
	}
	killed, kill := context.WithCancel(t.Context())
	kill()
	if s.Grow(killed, 100) || k.asks != 0 {
		t.Error("a holder was asked for a task that is killed")
	}
	k.kept = 0 // what it can't give up any more
	if s.Grow(t.Context(), 100) {
		t.Error("there was nothing to grant")
	}
	if !s.Grow(t.Context(), 0) {
		t.Error("nothing was refused")
	}
}

// What a task is granted beyond what there is, so that it can go on, has bounds.
func TestOverdraft(t *testing.T) {
	b := NewBudget(6400)
	full := b.NewShare()
	grow(full, 64)
	full.Keep(full.Held())
	for grow(full, 64) > 0 {
		full.Keep(full.Held())
	}
	if b.Used() < 6400 || b.Used() > 7200 {
		t.Fatalf("%d bytes are used", b.Used())
	}
	var all int64
	for range 100 {
		all += grow(b.NewShare(), 10)
	}
	if b.Used() > 7200 {
		t.Errorf("%d of 6400 bytes are used", b.Used())
	}
}

// Random steps of many tasks keep the budget, and give all of it back.
func TestBudgetAdds(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limit := rng.Int64N(100_000)
		b := NewBudget(limit)
		k := &keeper{b: b}
		b.Register(k)
		shares := make([]*Share, 1+rng.IntN(10))
		for i := range shares {
			shares[i] = b.NewShare()
		}
		for range 1000 {
			s := shares[rng.IntN(len(shares))]
			switch n := rng.Int64N(1 + limit/4); rng.IntN(4) {
			case 0, 1:
				s.Grow(t.Context(), n)
			case 2:
				s.Shrink(n)
			case 3:
				k.kept += s.Keep(n)
			}
			if used := b.Used(); used < 0 || used > limit+limit/overdraft {
				t.Fatalf("seed %d: %d of %d are used", seed, used, limit)
			}
		}
		for _, s := range shares {
			s.Close()
		}
		if b.Used() != k.kept {
			t.Errorf("seed %d: %d are used, %d kept", seed, b.Used(), k.kept)
		}
	}
}
