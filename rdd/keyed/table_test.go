package keyed

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// keysOf returns the Keys of a type by its codec.
func keysOf[K comparable](t testing.TB) Keys[K] {
	t.Helper()
	codec, err := encoding.ForKey[K]()
	if err != nil {
		t.Fatal(err)
	}
	return KeysOf(codec)
}

// badKeys returns Keys of ints by a hash that has few values, or few bits.
func badKeys(hash func(int) uint64) Keys[int] {
	return Keys[int]{Hash: hash, Compare: cmp.Compare[int]}
}

// unmix is the inverse of Keys.hash: with it a test says which hash a key is kept by.
func unmix(h uint64) uint64 {
	inverse := uint64(0xd6e8feb86659fd93) // by Newton's method
	for range 6 {
		inverse *= 2 - 0xd6e8feb86659fd93*inverse
	}
	h = (h ^ h>>32) * inverse
	h = (h ^ h>>32) * inverse
	return h ^ h>>32
}

func TestUnmix(t *testing.T) {
	keys := badKeys(func(k int) uint64 { return unmix(uint64(k)) })
	for _, k := range []int{0, 1, 17, math.MaxInt, math.MinInt, -1} {
		if h := keys.hash(k); h != uint64(k) {
			t.Errorf("%x has the hash %x", uint64(k), h)
		}
	}
}

// row is an entry as it is yielded.
type row[K comparable, V any] struct {
	Key   K
	Value V
	Stamp int64
}

func (r row[K, V]) String() string { return fmt.Sprintf("%v=%v@%d", r.Key, r.Value, r.Stamp) }

// rows returns what an iteration yields.
func rows[K comparable, V any](each func(func(K, V, int64) bool)) (all []row[K, V]) {
	each(func(k K, v V, stamp int64) bool {
		all = append(all, row[K, V]{k, v, stamp})
		return true
	})
	return all
}

// model is a plain map that does what a table does.
type model struct {
	entries map[int]row[int, string]
	removed map[int]int64
}

func (m model) clone() model { return model{maps.Clone(m.entries), maps.Clone(m.removed)} }

// sorted returns the model's entries that keep wants, in the order of their hashes.
func (m model) sorted(keys *Keys[int], keep func(stamp int64) bool) (all []row[int, string]) {
	for _, r := range m.entries {
		if keep(r.Stamp) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b row[int, string]) int {
		return cmp.Or(cmp.Compare(keys.hash(a.Key), keys.hash(b.Key)), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// since returns the removals after a stamp, in the order of their hashes.
func (m model) since(keys *Keys[int], stamp int64) (all []row[int, string]) {
	gone := model{entries: map[int]row[int, string]{}}
	for k, at := range m.removed {
		gone.entries[k] = row[int, string]{Key: k, Stamp: at}
	}
	return gone.sorted(keys, func(at int64) bool { return at > stamp })
}

// hashes are good and bad ones, all of them of ints.
var hashes = map[string]func(int) uint64{
	"plain":           func(k int) uint64 { return uint64(k) },
	"one":             func(int) uint64 { return 7 },
	"three":           func(k int) uint64 { return uint64(k % 3) },
	"high bits":       func(k int) uint64 { return uint64(k) << 48 },
	"low bits agree":  func(k int) uint64 { return unmix(uint64(k) << 40) },
	"high bits agree": func(k int) uint64 { return unmix(uint64(k) % 1000) },
	"long prefix":     func(k int) uint64 { return unmix(1<<63 | uint64(k)<<3) },
	"two heaps":       func(k int) uint64 { return unmix(uint64(k%2) << 20) },
	"skewed":          func(k int) uint64 { return unmix(^uint64(0) >> (k % 60) << 4) },
}

// TestVersions compares the versions of random histories with maps, each again after all
// the later ones were made.
func TestVersions(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				keys := badKeys(hash)
				r := rand.New(rand.NewPCG(seed, 1))
				bound := []int{10, 200, 3000}[seed%3]
				versions := []*Table[int, string]{New[int, string](keys, sizeOf)}
				models := []model{{map[int]row[int, string]{}, map[int]int64{}}}
				for n := range 12 {
					from := r.IntN(len(versions)) // several edits of one version
					edit, m := versions[from].Edit(), models[from].clone()
					removes := r.IntN(10)
					for range r.IntN(bound) {
						change(t, r, edit, m, r.IntN(bound), int64(n*10+r.IntN(15)), r.IntN(10) < removes)
					}
					if r.IntN(4) == 0 {
						stamp := int64(r.IntN(150))
						edit.ForgetRemovals(stamp)
						maps.DeleteFunc(m.removed, func(_ int, at int64) bool { return at <= stamp })
					}
					versions, models = append(versions, edit.Commit()), append(models, m)
				}
				for i, v := range versions {
					check(t, r, v, models[i])
				}
			}
		})
	}
}

func sizeOf(_ int, v string) int64 { return int64(len(v)) }

// change does one thing to an edit and its model.
func change(t *testing.T, r *rand.Rand, edit *Edit[int, string], m model, k int, stamp int64, remove bool) {
	t.Helper()
	edit.Touch([]int{k, k / 2}) // changes nothing
	was, has := m.entries[k]
	if v, at, ok := edit.Get(k); ok != has || v != was.Value || at != was.Stamp {
		t.Fatalf("edit has %d: %q, %d, %v, the model %v, %v", k, v, at, ok, was, has)
	}
	if remove {
		if got := edit.Remove(k, stamp); got != has {
			t.Fatalf("removing %d says %v, it is there: %v", k, got, has)
		}
		if has {
			delete(m.entries, k)
			m.removed[k] = stamp
		}
		return
	}
	v := strconv.Itoa(r.IntN(1000))
	edit.Put(k, v, stamp)
	m.entries[k] = row[int, string]{k, v, stamp}
	delete(m.removed, k)
}

// check compares a table with its model.
func check(t *testing.T, r *rand.Rand, table *Table[int, string], m model) {
	t.Helper()
	if table.Len() != len(m.entries) {
		t.Fatalf("%d entries, want %d", table.Len(), len(m.entries))
	}
	for range 20 {
		k := r.IntN(3000)
		v, stamp, ok := table.Get(k)
		if want, has := m.entries[k]; v != want.Value || stamp != want.Stamp || ok != has {
			t.Fatalf("Get(%d) = %q, %d, %v, want %v, %v", k, v, stamp, ok, want, has)
		}
	}
	var refers int64
	for _, e := range m.entries {
		refers += int64(len(e.Value))
	}
	if table.refers != refers {
		t.Fatalf("entries refer to %d bytes, want %d", table.refers, refers)
	}
	equal(t, "All", rows(table.All), m.sorted(table.keys, func(int64) bool { return true }))
	for _, stamp := range []int64{math.MinInt64, -1, 0, int64(r.IntN(150)), 200, math.MaxInt64} {
		until := rows(func(yield func(int, string, int64) bool) { table.Until(stamp, yield) })
		equal(t, fmt.Sprint("Until ", stamp), until, m.sorted(table.keys, func(at int64) bool { return at <= stamp }))
		var removed []row[int, string]
		put := rows(func(yield func(int, string, int64) bool) {
			table.Since(stamp, yield, func(k int, at int64) bool {
				removed = append(removed, row[int, string]{Key: k, Stamp: at})
				return true
			})
		})
		equal(t, fmt.Sprint("put since ", stamp), put, m.sorted(table.keys, func(at int64) bool { return at > stamp }))
		equal(t, fmt.Sprint("removed since ", stamp), removed, m.since(table.keys, stamp))
	}
	bounds(t, table)
}

func equal[K comparable, V comparable](t *testing.T, what string, got, want []row[K, V]) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %d entries\n%.300v\nwant %d\n%.300v", what, len(got), got, len(want), want)
	}
}

// bounds checks what a table keeps about its parts.
func bounds[K comparable, V any](t *testing.T, table *Table[K, V]) {
	t.Helper()
	tree := &table.entries
	segments, pages, count := 0, 0, 0
	for i := range tree.dir {
		b := &tree.dir[i]
		if b.oldest != b.segment.oldest() || b.oldest < tree.oldest {
			t.Fatalf("the bound of segment %d is %d", i, b.oldest)
		}
		if i > 0 && b.segment == tree.dir[i-1].segment {
			continue
		}
		segments++
		in := len(b.segment.spill)
		for j := range b.segment.slots {
			s := &b.segment.slots[j]
			switch {
			case s.keys == nil:
				if s.oldest != math.MaxInt64 || s.values != nil {
					t.Fatalf("an empty slot has the bound %d", s.oldest)
				}
				continue
			case s.oldest != s.values.oldest(int(s.keys.n)):
				t.Fatalf("the bound of slot %d is %d", j, s.oldest)
			}
			if j == 0 || b.segment.slots[j-1].keys != s.keys {
				pages++
				in += int(s.keys.n)
			}
		}
		if in != b.segment.count {
			t.Fatalf("a segment of %d entries counts %d", in, b.segment.count)
		}
		count += in
	}
	if segments != tree.segments || pages != tree.pages || count != tree.count {
		t.Fatalf("%d segments, %d pages, %d entries, counted %d, %d, %d", segments, pages, count, tree.segments, tree.pages, tree.count)
	}
}

// TestOrder makes the same entries by different histories.
func TestOrder(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			const n = 2000
			var want []row[int, int]
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, 2))
				table := New[int, int](badKeys(hash), nil)
				edit := table.Edit()
				for _, k := range r.Perm(2 * n) {
					edit.Put(k, k, 1)
					if r.IntN(100) == 0 {
						edit = edit.Commit().Edit()
					}
				}
				for _, k := range r.Perm(2 * n) {
					if k >= n {
						edit.Remove(k, 2)
					}
				}
				got := rows(edit.Commit().All)
				if want == nil {
					want = got
				}
				if len(got) != n || !slices.Equal(got, want) {
					t.Fatalf("another history has another order")
				}
			}
		})
	}
}

// TestStop ends iterations early.
func TestStop(t *testing.T) {
	for name, hash := range hashes {
		edit := New[int, int](badKeys(hash), nil).Edit()
		for k := range 100 {
			edit.Put(k, k, 1)
		}
		for k := range 20 {
			edit.Remove(k, 1)
		}
		table := edit.Commit()
		for _, stop := range []int{1, 50, 80, 81, 100} {
			n := 0
			more := func() bool { n++; return n < stop }
			table.All(func(int, int, int64) bool { return more() })
			if want := min(stop, 80); n != want {
				t.Errorf("%s: All called %d times, want %d", name, n, want)
			}
			n = 0
			table.Since(0, func(int, int, int64) bool { return more() }, func(int, int64) bool { return more() })
			if want := min(stop, 100); n != want {
				t.Errorf("%s: Since called %d times, want %d", name, n, want)
			}
		}
	}
}

// TestNaN: NaN is one key, -0 is 0.
func TestNaN(t *testing.T) {
	type point struct{ X, Y float64 }
	nan, other := math.NaN(), math.Float64frombits(0x7ff8000000000123)
	edit := New[point, int](keysOf[point](t), nil).Edit()
	edit.Put(point{nan, 1}, 1, 1)
	edit.Put(point{other, 1}, 2, 2)
	edit.Put(point{nan, 2}, 3, 1)
	edit.Put(point{0, 1}, 4, 1)
	edit.Put(point{math.Copysign(0, -1), 1}, 5, 2)
	table := edit.Commit()
	for key, want := range map[point]int{{nan, 1}: 2, {other, 2}: 3, {0, 1}: 5, {nan, 3}: 0} {
		if v, _, _ := table.Get(key); v != want {
			t.Errorf("%v is %d, want %d", key, v, want)
		}
	}
	if table.Len() != 3 {
		t.Errorf("%d keys, want 3", table.Len())
	}
	edit = table.Edit()
	if !edit.Remove(point{other, 1}, 3) || edit.Remove(point{nan, 1}, 3) {
		t.Error("NaN can't be removed once")
	}
}

// TestKeysOf: equal keys have equal hashes, whatever the way to them.
func TestKeysOf(t *testing.T) {
	type id int64
	testKeys(t, "", "a", "b", string(bytes.Repeat([]byte("x"), 1000)))
	testKeys[int64](t, 0, 1, -1, math.MinInt64)
	testKeys[int](t, 0, 1, -1)
	testKeys[int32](t, 0, 1, -1)
	testKeys[uint32](t, 0, 1, math.MaxUint32)
	testKeys[uint64](t, 0, 1, math.MaxUint64)
	testKeys[id](t, 0, 1, -1)
	testKeys(t, [2]string{"a", "b"}, [2]string{"ab", ""})
}

func testKeys[K comparable](t *testing.T, all ...K) {
	t.Helper()
	keys := keysOf[K](t)
	for i, a := range all {
		for j, b := range all {
			if i == j != (keys.Hash(a) == keys.Hash(b)) || i == j != (keys.Compare(a, b) == 0) {
				t.Errorf("%T: %v and %v: hashes %x, %x, compared %d", a, a, b, keys.Hash(a), keys.Hash(b), keys.Compare(a, b))
			}
		}
	}
}

// TestSpread: the keys of one partition, which agree in bits of their hash, fill the
// table as others do.
func TestSpread(t *testing.T) {
	for name, hash := range map[string]func(int) uint64{
		"all":       func(k int) uint64 { return uint64(k) },
		"multiples": func(k int) uint64 { return uint64(k) * 4096 },
		"high bits": func(k int) uint64 { return uint64(k) << 44 },
	} {
		edit := New[int, int](badKeys(hash), nil).Edit()
		for k := range 100_000 {
			edit.Put(k, k, 1)
		}
		table := edit.Commit()
		fill := float64(table.Len()) / float64(table.entries.pages)
		spilled := 0
		for i := range table.entries.dir {
			spilled += len(table.entries.dir[i].segment.spill)
		}
		if fill < 4 || spilled > 2000 {
			t.Errorf("%s: %.1f entries a page, %d spilled", name, fill, spilled)
		}
	}
}

// TestShrunk: a table that shrank takes no more than a share of what it took.
func TestShrunk(t *testing.T) {
	edit := New[int, int](keysOf[int](t), nil).Edit()
	for k := range 100_000 {
		edit.Put(k, k, 1)
	}
	full := edit.Commit()
	edit = full.Edit()
	for k := range 99_000 {
		edit.Remove(k, 2)
	}
	edit.ForgetRemovals(2)
	small := edit.Commit()
	if small.Bytes() > full.Bytes()/20 {
		t.Errorf("1,000 entries take %d bytes, 100,000 took %d", small.Bytes(), full.Bytes())
	}
	bounds(t, small)
	if rest := rows(small.All); len(rest) != 1000 {
		t.Errorf("%d entries are left", len(rest))
	}
}

// TestEditAfterCommit: what an edit does after Commit isn't seen in what it committed.
func TestEditAfterCommit(t *testing.T) {
	edit := New[int, int](keysOf[int](t), nil).Edit()
	edit.Put(1, 1, 1)
	first := edit.Commit()
	edit.Put(1, 2, 2)
	edit.Put(2, 2, 2)
	second := edit.Commit()
	equal(t, "first", rows(first.All), []row[int, int]{{1, 1, 1}})
	if second.Len() != 2 || first.Len() != 1 {
		t.Errorf("%d and %d entries", first.Len(), second.Len())
	}
}

// FuzzTable does to a table and a map what the bytes say.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03"), uint8(0))
	f.Add(bytes.Repeat([]byte{1, 2, 3, 200, 255, 9}, 100), uint8(3))
	f.Fuzz(func(t *testing.T, ops []byte, shift uint8) {
		keys := badKeys(func(k int) uint64 { return unmix(uint64(k) << (shift % 64)) })
		table := New[int, string](keys, sizeOf)
		edit, m := table.Edit(), model{map[int]row[int, string]{}, map[int]int64{}}
		r := rand.New(rand.NewPCG(0, 0))
		var versions []*Table[int, string]
		var models []model
		for i := 0; i+1 < len(ops) && i < 1200; i += 2 {
			change(t, r, edit, m, int(ops[i])|int(ops[i+1]&3)<<8, int64(i%150), ops[i+1]&0xc0 == 0)
			if ops[i+1]&0x3c == 0 && len(versions) < 5 {
				versions, models = append(versions, edit.Commit()), append(models, m.clone())
			}
		}
		for i, v := range append(versions, edit.Commit()) {
			check(t, r, v, append(models, m)[i])
		}
	})
}

// TestEditsAtOnce edits and reads one version in several goroutines.
func TestEditsAtOnce(t *testing.T) {
	edit := New[int, int](keysOf[int](t), nil).Edit()
	for k := range 5000 {
		edit.Put(k, 0, 1)
	}
	table := edit.Commit()
	var attempts sync.WaitGroup
	for n := 1; n <= 4; n++ {
		attempts.Go(func() {
			edit := table.Edit()
			for k := range 6000 {
				edit.Put(k, n, 2)
			}
			mine := edit.Commit()
			for _, version := range []struct {
				t          *Table[int, int]
				value, len int
			}{{mine, n, 6000}, {table, 0, 5000}} {
				version.t.All(func(k, v int, _ int64) bool {
					if v != version.value {
						t.Errorf("%d is %d, want %d", k, v, version.value)
					}
					return v == version.value
				})
				if version.t.Len() != version.len {
					t.Errorf("%d entries, want %d", version.t.Len(), version.len)
				}
			}
		})
	}
	attempts.Wait()
}

// Of more keys than can be touched at once the others aren't.
func TestTouch(t *testing.T) {
	edit := New[int, int](keysOf[int](t), nil).Edit()
	edit.Touch(nil)
	keys := make([]int, 2*MostTouched)
	for i := range keys {
		edit.Touch(keys)
		keys[i] = i
		edit.Put(i, i, 1)
	}
	edit.Touch(keys)
	if n := edit.Commit().Len(); n != len(keys) {
		t.Errorf("%d entries, want %d", n, len(keys))
	}
}

// What a version copied of the one before is little if little changed, and is counted
// anew for each.
func TestCopied(t *testing.T) {
	edit := New[int, int](keysOf[int](t), nil).Edit()
	for i := range 20000 {
		edit.Put(i, i, 1)
	}
	full := edit.Commit()
	one := full.Edit()
	one.Put(7, 8, 2)
	first := one.Commit()
	second := first.Edit().Commit()
	all := second.Edit()
	for i := range 20000 {
		all.Put(i, i+1, 3)
	}
	third := all.Commit()
	if c := first.Copied(); c <= 0 || c > full.Bytes()/20 {
		t.Errorf("one key of %d bytes: %d were copied", full.Bytes(), c)
	}
	if c := second.Copied(); c != 0 {
		t.Errorf("without a change %d bytes were copied", c)
	}
	if c := third.Copied(); c < full.Bytes()/4 || c > full.Bytes() {
		t.Errorf("all keys of %d bytes: %d were copied", full.Bytes(), c)
	}
}
