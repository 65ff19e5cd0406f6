package keyed

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

const (
	benchKeys = 1_000_000
	benchPuts = 100_000
)

// value is what the benchmarks keep by key.
type value [32]byte

func intKey(i int) int64     { return int64(i) }
func stringKey(i int) string { return fmt.Sprintf("user-%010d", i) }

// filled returns a table of n keys with the stamps 0 to 999 in turn.
func filled[K comparable, V any](b testing.TB, n int, key func(int) K) (*Table[K, V], []K) {
	keys := make([]K, n)
	edit := New[K, V](keysOf[K](b), nil).Edit()
	var v V
	for i := range keys {
		keys[i] = key(i)
		edit.Put(keys[i], v, int64(i%1000))
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return edit.Commit(), keys
}

func BenchmarkGet(b *testing.B) {
	benchGet(b, intKey)
	benchGet(b, stringKey)
}

func benchGet[K comparable](b *testing.B, key func(int) K) {
	table, keys := filled[K, value](b, benchKeys, key)
	name := fmt.Sprintf("%T", keys[0])
	b.Run(name+"/table", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, _, ok := table.Get(keys[i]); !ok {
				b.Fatal("a key is missing")
			}
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
	m := plain(table)
	b.Run(name+"/map", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, ok := m[keys[i]]; !ok {
				b.Fatal("a key is missing")
			}
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
}

// stamped is what a map would hold in place of a table.
type stamped struct {
	v     value
	stamp int64
}

func plain[K comparable](t *Table[K, value]) map[K]stamped {
	m := make(map[K]stamped)
	t.All(func(k K, v value, stamp int64) bool {
		m[k] = stamped{v, stamp}
		return true
	})
	return m
}

// BenchmarkPut makes an edit of 100,000 puts of keys that are there: ns/op is of the edit.
func BenchmarkPut(b *testing.B) {
	benchPut(b, intKey)
	benchPut(b, stringKey)
}

func benchPut[K comparable](b *testing.B, key func(int) K) {
	table, keys := filled[K, value](b, benchKeys, key)
	name := fmt.Sprintf("%T", keys[0])
	b.Run(name+"/table", func(b *testing.B) {
		b.ReportAllocs()
		version, at, stamp := table, 0, int64(1000)
		for b.Loop() {
			edit := version.Edit()
			for some := range slices.Chunk(keys[at:at+benchPuts], MostTouched) {
				edit.Touch(some)
				for _, k := range some {
					edit.Put(k, value{1}, stamp)
				}
			}
			version = edit.Commit()
			at, stamp = (at+benchPuts)%len(keys), stamp+1
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPuts, "ns/put")
	})
	m := plain(table)
	b.Run(name+"/map", func(b *testing.B) {
		b.ReportAllocs()
		at, stamp := 0, int64(1000)
		for b.Loop() {
			for _, k := range keys[at : at+benchPuts] {
				m[k] = stamped{value{1}, stamp}
			}
			at, stamp = (at+benchPuts)%len(keys), stamp+1
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPuts, "ns/put")
	})
}

// BenchmarkFill puts new keys; ns/op is of a key.
func BenchmarkFill(b *testing.B) {
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = stringKey(i)
	}
	edit, i := New[string, value](keysOf[string](b), nil).Edit(), 0
	b.ReportAllocs()
	for b.Loop() {
		edit.Put(keys[i], value{1}, 1)
		if i++; i == len(keys) {
			edit, i = New[string, value](keysOf[string](b), nil).Edit(), 0
		}
	}
}

// BenchmarkAll iterates over a million entries.
func BenchmarkAll(b *testing.B) {
	table, _ := filled[string, value](b, benchKeys, stringKey)
	for b.Loop() {
		n := 0
		table.All(func(string, value, int64) bool { n++; return true })
		if n != benchKeys {
			b.Fatal(n)
		}
	}
}

// BenchmarkUntil looks for old entries among a million, of which there are so many.
func BenchmarkUntil(b *testing.B) {
	table, _ := filled[string, value](b, benchKeys, stringKey)
	edit := table.Edit()
	for i := range 10 {
		edit.Put(stringKey(i), value{}, -1)
	}
	table = edit.Commit()
	for _, stamp := range []int64{-2, -1, 0} {
		want := len(rows(func(yield func(string, value, int64) bool) { table.Until(stamp, yield) }))
		b.Run(fmt.Sprint(want), func(b *testing.B) {
			for b.Loop() {
				n := 0
				table.Until(stamp, func(string, value, int64) bool { n++; return true })
				if n != want {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkOnePut makes an edit of one put in a million entries.
func BenchmarkOnePut(b *testing.B) {
	table, keys := filled[string, value](b, benchKeys, stringKey)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		edit := table.Edit()
		edit.Put(keys[i], value{1}, 1000)
		edit.Commit()
		if i++; i == len(keys) {
			i = 0
		}
	}
}

// BenchmarkMemory says what 10 million small entries take.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.StartTimer()
		table, _ := filled[int64, int64](b, 10*benchKeys, intKey)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(table.Len()), "B/entry")
		b.ReportMetric(float64(table.Bytes())/float64(table.Len()), "counted-B/entry")
		b.StartTimer()
		runtime.KeepAlive(table)
	}
}
