package variables

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// Schema says what variables a state has of each key.
type Schema[K comparable] struct {
	Codec  keyed.Codec[Row[K], []byte]
	Keys   keyed.Keys[Row[K]]
	key    encoding.Codec[K]
	own    func(*K) // nil where there is nothing to do
	held   []*Variable
	timers *Variable
}

// NewSchema returns the schema of a state with variables.
func NewSchema[K comparable](held []*Variable) (*Schema[K], error) {
	s := &Schema[K]{held: held, timers: NewTimers(), own: rdd.Owning[K]()}
	for _, v := range held {
		if v.Kind == Timers {
			s.timers = v
		}
	}
	var err error
	if s.Codec, err = Codec[K](held); err != nil {
		return nil, err
	}
	s.Keys, s.key = KeysOf(s.Codec), s.Codec.Key.(rowCodec[K]).key
	return s, nil
}

// of returns the variable of a tag, nil for none.
func (s *Schema[K]) of(tag string) *Variable {
	for _, v := range s.held {
		if v.tag == tag {
			return v
		}
	}
	return nil
}

// Due is a table of the rows that end: the stamps say when.
type Due[K comparable] = keyed.Table[Row[K], struct{}]

// dueOf returns the rows of a table that end, and those of variables that aren't held.
func (s *Schema[K]) dueOf(table *keyed.Table[Row[K], []byte]) (due *Due[K], strangers []Row[K], err error) {
	edit := keyed.New[Row[K], struct{}](s.Keys, nil).Edit()
	table.All(func(r Row[K], data []byte, stamp int64) bool {
		v := s.of(r.Of)
		if v == nil {
			strangers = append(strangers, r)
			return true
		}
		var end int64
		if end, err = v.endOf(r.Entry, data, stamp); end < never {
			edit.Put(r, struct{}{}, end)
		}
		return err == nil
	})
	return edit.Commit(), strangers, err
}

// endOf returns when a row ends that was put at a time.
func (v *Variable) endOf(entry string, data []byte, stamp int64) (int64, error) {
	switch {
	case v.Kind == Value, v.Kind == List && entry != "":
		return v.end(stamp), nil
	case entry == "":
		return never, nil
	}
	l, err := linkOf(data)
	return l.endOf(v, entry), err
}

// Partition is the next version of a partition's table, while it is made. It implements
// [Cells] for the key that was chosen last.
type Partition[K comparable] struct {
	schema *Schema[K]
	edit   *keyed.Edit[Row[K], []byte]
	due    *keyed.Edit[Row[K], struct{}]
	before *Due[K]
	now    int64
	key    K
	owned  bool // the key is the table's
	err    error
}

// Next begins the version of a batch after the one before. due is what [Partition.Commit]
// returned with that, nil if it wasn't made by a Partition.
func (s *Schema[K]) Next(before *keyed.Table[Row[K], []byte], due *Due[K], edit *keyed.Edit[Row[K], []byte], now int64) (*Partition[K], error) {
	if due == nil {
		var strangers []Row[K]
		var err error
		if due, strangers, err = s.dueOf(before); err != nil {
			return nil, err
		}
		for _, r := range strangers {
			edit.Remove(r, now)
		}
	}
	return &Partition[K]{schema: s, edit: edit, due: due.Edit(), before: due, now: now}, nil
}

// Commit returns the rows of the version that end.
func (p *Partition[K]) Commit() *Due[K] {
	p.due.ForgetRemovals(p.now)
	return p.due.Commit()
}

// Choose chooses a key.
func (p *Partition[K]) Choose(k K) { p.key, p.owned = k, p.schema.own == nil }

// Err returns what was noted by Fail.
func (p *Partition[K]) Err() error { return p.err }

// Now implements Cells.
func (p *Partition[K]) Now() int64 { return p.now }

// Held implements Cells.
func (p *Partition[K]) Held(v *Variable) bool { return slices.Contains(p.schema.held, v) }

// Fail implements Cells.
func (p *Partition[K]) Fail(err error) { p.err = cmp.Or(p.err, err) }

func (p *Partition[K]) row(v *Variable, entry string) Row[K] { return Row[K]{p.key, v.tag, entry} }

func (p *Partition[K]) get(v *Variable, entry string) ([]byte, bool) {
	data, _, ok := p.edit.Get(p.row(v, entry))
	return data, ok
}

func (p *Partition[K]) put(v *Variable, entry string, data []byte, end int64) {
	r := p.row(v, entry)
	if !p.owned {
		if _, _, there := p.edit.Get(r); !there {
			p.schema.own(&p.key)
			p.owned, r.Key = true, p.key
		}
	}
	p.edit.Put(r, data, p.now)
	if end < never {
		p.due.Put(r, struct{}{}, end)
	}
}

func (p *Partition[K]) remove(v *Variable, entry string) {
	r := p.row(v, entry)
	if p.edit.Remove(r, p.now) && (v.TTL > 0 || v == p.schema.timers) {
		p.due.Remove(r, p.now)
	}
}

// Expired is a timer that is due.
type Expired[K comparable] struct {
	At  int64
	Key K

	encoded []byte // the key, for the order
	entry   string
}

// Expire takes away what has lived its time, and returns the timers that are due: in the
// order of time and, within one, of the keys' encodings. They are still set.
func (p *Partition[K]) Expire() (timers []Expired[K], err error) {
	p.before.Until(p.now, func(r Row[K], _ struct{}, end int64) bool {
		v := p.schema.of(r.Of)
		if v == p.schema.timers {
			t := Expired[K]{At: end, Key: r.Key, entry: r.Entry}
			t.encoded, err = p.schema.key.Append(nil, r.Key)
			timers = append(timers, t)
			return err == nil
		}
		p.key, p.owned = r.Key, true
		switch v.Kind {
		case Value:
			p.remove(v, "")
		case List:
			expireElement(p, v, r.Entry)
		case Map:
			RemoveEntry(p, v, r.Entry)
		}
		return p.err == nil
	})
	slices.SortFunc(timers, func(a, b Expired[K]) int {
		return cmp.Or(cmp.Compare(a.At, b.At), slices.Compare(a.encoded, b.encoded))
	})
	return timers, cmp.Or(err, p.err)
}

// Fire chooses the key of a timer that is due and takes the timer away. It reports whether
// the timer was still set.
func (p *Partition[K]) Fire(t Expired[K]) bool {
	p.key, p.owned = t.Key, true
	_, set := p.get(p.schema.timers, t.entry)
	RemoveEntry(p, p.schema.timers, t.entry)
	return set
}

// SetTimer sets a timer of the key, to a time after the batch's.
func (p *Partition[K]) SetTimer(at time.Time) error {
	now := time.Unix(0, p.now)
	if !at.After(now) || at.After(time.Unix(0, never-1)) {
		return rdd.Permanent(fmt.Errorf("a timer is set to %s: it must be after the batch's time, %s, and before the year 2262",
			at.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano)))
	}
	if entry := timer(at); !p.has(entry) {
		SetEntry(p, p.schema.timers, entry, encoding.AppendBool(nil, true))
	}
	return nil
}

// DeleteTimer takes a timer of the key away.
func (p *Partition[K]) DeleteTimer(at time.Time) { RemoveEntry(p, p.schema.timers, timer(at)) }

func (p *Partition[K]) has(entry string) bool {
	_, has := p.get(p.schema.timers, entry)
	return has
}

// Timers yields the timers of the key that are set, in no particular order.
func (p *Partition[K]) Timers() iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for _, entry := range Keys(p, p.schema.timers) {
			at, _, err := encoding.DecodeInt([]byte(entry))
			if err != nil {
				p.Fail(err)
			}
			if !yield(time.Unix(0, at)) {
				return
			}
		}
	}
}

// timer returns the entry of a timer.
func timer(at time.Time) string {
	var buf [9]byte
	return string(encoding.AppendInt(buf[:0], at.UnixNano()))
}
