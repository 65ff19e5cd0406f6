package variables

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// part is an element of a list, or entry of a map, of a model.
type part struct {
	name string // of the key within the map
	data byte
	set  int64
}

// model is what is held of a key, in the plainest form.
type model struct {
	value   []part
	list    []part
	entries []part
	timers  map[int64]bool
}

// expire drops what was set up to a time.
func expired(parts []part, until int64) []part {
	return slices.DeleteFunc(parts, func(e part) bool { return e.set <= until })
}

func (m *model) String() string {
	s := ""
	for _, e := range slices.Concat(m.value, m.list, m.entries) {
		s += fmt.Sprint(e.name, e.data, " ")
	}
	return s + fmt.Sprint(slices.Sorted(maps.Keys(m.timers)))
}

// Whatever is done, what is held is what a model says, also when it goes on from a table
// that was read; and what ends is known of all rows, and of no others.
func TestAgainstModel(t *testing.T) {
	const ttl = 5
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		held := []*Variable{New(Value, "v", "", ttl), New(List, "l", "", ttl), New(Map, "m", "", ttl), NewTimers()}
		schema, err := NewSchema[int](held)
		if err != nil {
			t.Fatal(err)
		}
		table, due := keyed.New[Row[int], []byte](schema.Keys, Bytes[int]), (*Due[int])(nil)
		models := make(map[int]*model)
		for now := int64(1); now < 60; now++ {
			if r.IntN(8) == 0 {
				due = nil
			}
			edit := table.Edit()
			p, err := schema.Next(table, due, edit, now)
			if err != nil {
				t.Fatal(err)
			}
			timers, err := p.Expire()
			if err != nil {
				t.Fatal(err)
			}
			var fired, wanted []string
			for _, timer := range timers {
				if p.Fire(timer) {
					fired = append(fired, fmt.Sprint(timer.At, timer.Key))
				}
			}
			for at := range now + 1 {
				for k := range 4 {
					if m := models[k]; m != nil && m.timers[at] {
						delete(m.timers, at)
						wanted = append(wanted, fmt.Sprint(at, k))
					}
				}
			}
			if !slices.Equal(fired, wanted) {
				t.Fatalf("seed %d at %d: timers %v, want %v", seed, now, fired, wanted)
			}
			for k, m := range models {
				m.value, m.list, m.entries = expired(m.value, now-ttl), expired(m.list, now-ttl), expired(m.entries, now-ttl)
				p.Choose(k)
				if got := shown(p, held); got != m.String() {
					t.Fatalf("seed %d at %d: key %d has %s, want %s", seed, now, k, got, m)
				}
			}
			for range r.IntN(8) {
				k := r.IntN(4)
				if models[k] == nil {
					models[k] = &model{timers: make(map[int64]bool)}
				}
				p.Choose(k)
				change(t, r, p, held, models[k])
			}
			if p.Err() != nil {
				t.Fatal(p.Err())
			}
			due, table = p.Commit(), edit.Commit()
			again, _, err := schema.dueOf(table)
			if err != nil || !slices.Equal(rows(due), rows(again)) {
				t.Fatalf("seed %d at %d: %v ends, in the table %v; %v", seed, now, rows(due), rows(again), err)
			}
		}
	}
}

// change does something to a key, and to its model.
func change(t *testing.T, r *rand.Rand, p *Partition[int], held []*Variable, m *model) {
	v, l, entries := held[0], held[1], held[2]
	now, data, name := p.Now(), byte(r.IntN(100)), string(rune('a'+r.IntN(6)))
	at := func() int { return slices.IndexFunc(m.entries, func(e part) bool { return e.name == name }) }
	switch r.IntN(9) {
	case 0:
		Set(p, v, []byte{data})
		m.value = []part{{"", data, now}}
	case 1:
		Remove(p, v)
		m.value = nil
	case 2, 3:
		Append(p, l, []byte{data})
		m.list = append(m.list, part{"", data, now})
	case 4:
		if r.IntN(4) == 0 {
			ClearList(p, l)
			ClearMap(p, entries)
			m.list, m.entries = nil, nil
		}
	case 5, 6:
		SetEntry(p, entries, name, []byte{data})
		if i := at(); i >= 0 {
			m.entries[i] = part{name, data, now}
		} else {
			m.entries = append(m.entries, part{name, data, now})
		}
	case 7:
		RemoveEntry(p, entries, name)
		if i := at(); i >= 0 {
			m.entries = slices.Delete(m.entries, i, i+1)
		}
	case 8:
		end := now + 1 + int64(r.IntN(10))
		if m.timers[end] && r.IntN(2) == 0 {
			p.DeleteTimer(time.Unix(0, end))
			delete(m.timers, end)
		} else if err := p.SetTimer(time.Unix(0, end)); err != nil {
			t.Fatal(err)
		} else {
			m.timers[end] = true
		}
	}
}

// shown returns what is held of the chosen key, as model.String does.
func shown(p *Partition[int], held []*Variable) string {
	s := ""
	if data, ok := Get(p, held[0]); ok {
		s += fmt.Sprint(data[0], " ")
	}
	n := 0
	Elements(p, held[1], func(data []byte) bool { s += fmt.Sprint(data[0], " "); n++; return true })
	for _, key := range Keys(p, held[2]) {
		data, _ := Entry(p, held[2], key)
		s += fmt.Sprint(key, data[0], " ")
		n++
	}
	if n != ListLen(p, held[1])+MapLen(p, held[2]) {
		s += "the lengths are wrong"
	}
	var timers []int64
	for at := range p.Timers() {
		timers = append(timers, at.UnixNano())
	}
	slices.Sort(timers)
	return s + fmt.Sprint(timers)
}

// rows returns the rows that end, and when.
func rows(due *Due[int]) (all []string) {
	due.All(func(r Row[int], _ struct{}, end int64) bool {
		all = append(all, fmt.Sprintf("%v at %d", r, end))
		return true
	})
	return all
}

// What isn't held is taken away, and so that a delta says it.
func TestStrangersGo(t *testing.T) {
	gone, stays := New(List, "gone", "int", 0), New(Value, "stays", "int", 0)
	both, err := NewSchema[string]([]*Variable{gone, stays})
	if err != nil {
		t.Fatal(err)
	}
	empty := keyed.New[Row[string], []byte](both.Keys, nil)
	edit := empty.Edit()
	p, _ := both.Next(empty, nil, edit, 10)
	p.Choose("a")
	Append(p, gone, encoding.AppendInt(nil, 1))
	Set(p, stays, encoding.AppendInt(nil, 2))
	table := edit.Commit()
	one, err := NewSchema[string]([]*Variable{stays})
	if err != nil {
		t.Fatal(err)
	}
	edit = table.Edit()
	if _, err := one.Next(table, nil, edit, 20); err != nil {
		t.Fatal(err)
	}
	var removed []string
	next := edit.Commit()
	next.Since(10, func(Row[string], []byte, int64) bool { t.Error("something was put"); return true },
		func(r Row[string], _ int64) bool { removed = append(removed, r.Of); return true })
	if len(removed) != 2 || next.Len() != 1 {
		t.Errorf("%q are removed, %d are left", removed, next.Len())
	}
}

// A long list costs an append no more than a short one: so few rows change.
func TestAppendIsShort(t *testing.T) {
	l := New(List, "l", "", time.Hour)
	schema, err := NewSchema[string]([]*Variable{l})
	if err != nil {
		t.Fatal(err)
	}
	table, due := keyed.New[Row[string], []byte](schema.Keys, nil), (*Due[string])(nil)
	for now := int64(1); now <= 300; now++ {
		edit := table.Edit()
		p, err := schema.Next(table, due, edit, now)
		if err != nil {
			t.Fatal(err)
		}
		p.Choose("a")
		for range 10 {
			Append(p, l, []byte{1})
		}
		table, due = edit.Commit(), p.Commit()
	}
	changed := 0
	table.Since(299, func(Row[string], []byte, int64) bool { changed++; return true }, func(Row[string], int64) bool { changed++; return true })
	if changed != 11 || table.Len() != 3_001 {
		t.Errorf("%d rows of %d changed with the last batch", changed, table.Len())
	}
}

// A batch without data, in which nothing is due, costs the same however many keys there
// are; one in which something is due costs that.
func TestWhatIsDueCosts(t *testing.T) {
	value, timers := New(Value, "v", "", time.Hour), NewTimers()
	schema, err := NewSchema[int]([]*Variable{value, timers})
	if err != nil {
		t.Fatal(err)
	}
	table := keyed.New[Row[int], []byte](schema.Keys, nil)
	edit := table.Edit()
	p, err := schema.Next(table, nil, edit, 1)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 5_000
	for k := range keys {
		p.Choose(k)
		Set(p, value, []byte{1})
		if err := p.SetTimer(time.Unix(0, int64(1000+k))); err != nil {
			t.Fatal(err)
		}
	}
	due, table := p.Commit(), edit.Commit()
	batch := func(now int64) (fired int) {
		edit := table.Edit()
		p, err := schema.Next(table, due, edit, now)
		if err != nil {
			t.Fatal(err)
		}
		expired, err := p.Expire()
		if err != nil {
			t.Fatal(err)
		}
		for _, timer := range expired {
			if p.Fire(timer) {
				fired++
			}
		}
		p.Commit()
		edit.Commit()
		return fired
	}
	none := testing.AllocsPerRun(10, func() { batch(999) })
	few := testing.AllocsPerRun(10, func() {
		if n := batch(1009); n != 10 {
			t.Errorf("%d timers came, not 10", n)
		}
	})
	if none > 20 || few > 1000 {
		t.Errorf("%.0f allocations if nothing is due of %d keys, %.0f for ten timers", none, keys, few)
	}
}
