package files

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/files"
)

// at returns a file that was modified so many seconds after 1970.
func at(name string, size, seconds int64) files.Found {
	return files.Found{Name: name, Size: size, Modified: time.Unix(seconds, 0)}
}

// takeAll takes all files that are whole.
func takeAll(l *ledger) (names []string) {
	for _, name := range l.settled() {
		names = append(names, l.take(name).name)
	}
	l.forget()
	return names
}

// again returns the ledger of a driver that goes on from the allocation of the newest batch.
func again(t *testing.T, l *ledger) *ledger {
	t.Helper()
	b, err := encodeRanges(l.ranges(nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeRanges(b)
	if err != nil {
		t.Fatal(err)
	}
	return newLedger(l.remember, l.settles, r)
}

// A file waits until it is the same in two looks; those modified first are taken first.
func TestHalfWrittenFilesWait(t *testing.T) {
	l := newLedger(10, true, ranges{})
	for i, c := range []struct {
		found []files.Found
		want  []string
	}{
		{[]files.Found{at("slow", 1, 10), at("whole", 5, 11), at("empty", 0, 5)}, nil},
		{[]files.Found{at("slow", 2, 12), at("whole", 5, 11), at("empty", 0, 5)}, []string{"whole"}},
		{[]files.Found{at("slow", 2, 13), at("whole", 5, 11), at("empty", 3, 13)}, nil}, // of one size, and touched
		{[]files.Found{at("slow", 2, 13), at("empty", 3, 13), at("b", 1, 1)}, []string{"empty", "slow"}},
		{[]files.Found{at("slow", 2, 13)}, nil}, // b went before it was taken
		{[]files.Found{at("slow", 2, 13), at("b", 1, 1)}, nil},
		{[]files.Found{at("slow", 2, 13), at("b", 1, 1)}, []string{"b"}},
	} {
		r := l.look(c.found)
		if got := takeAll(l); !slices.Equal(got, c.want) || !reflect.DeepEqual(r, remarks{}) {
			t.Errorf("look %d: %q, want %q; %+v", i, got, c.want, r)
		}
	}
	if l.total != 4 {
		t.Errorf("%d files were read", l.total)
	}
}

// A file that was replaced after it was planned is told by its size, too, and how large it was:
// by this driver, and by the next one for the batch that it goes on with.
func TestReplacedFilesAreTold(t *testing.T) {
	l := newLedger(10, false, ranges{})
	l.look([]files.Found{at("a", 5, 10), at("b", 5, 10)})
	var list []file
	for _, name := range l.settled() {
		list = append(list, l.take(name))
	}
	next := newLedger(10, false, l.ranges(list))
	want := []change{{"a", 5, 7}}
	for _, l := range []*ledger{l, next} {
		for _, want := range [][]change{want, nil} {
			if r := l.look([]files.Found{at("a", 7, 10), at("b", 5, 10)}); !slices.Equal(r.changed, want) {
				t.Errorf("%v, want %v", r.changed, want)
			}
		}
	}
}

// A file that was read is known by its name: it isn't read again when it is changed, only when
// it was gone and another one is there. So it is after a restart.
func TestFilesAreTakenOnce(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		l := newLedger(10, false, ranges{})
		for i, c := range []struct {
			found   []files.Found
			want    []string
			changed []string
		}{
			{[]files.Found{at("a", 1, 10), at("b", 1, 20)}, []string{"a", "b"}, nil},
			{[]files.Found{at("a", 1, 10), at("b", 1, 20)}, nil, nil},
			{[]files.Found{at("a", 1, 10), at("b", 9, 30)}, nil, []string{"b"}}, // appended to
			{[]files.Found{at("a", 1, 10), at("b", 9, 30)}, nil, nil},
			{[]files.Found{at("b", 9, 30)}, nil, nil},
			{[]files.Found{at("a", 1, 10), at("b", 9, 30)}, nil, nil}, // a came back, as after a mount
			{nil, nil, nil}, // all are gone
			{[]files.Found{at("a", 4, 40)}, []string{"a"}, nil},       // a new one
			{[]files.Found{at("a", 4, 40), at("b", 9, 30)}, nil, nil}, // the old one
			{[]files.Found{at("c", 4, 1), at("b", 0, 50)}, []string{"c"}, []string{"b"}},
		} {
			r := l.look(c.found)
			if got := takeAll(l); !slices.Equal(got, c.want) || !slices.EqualFunc(r.changed, c.changed, func(is change, want string) bool { return is.name == want }) || r.late != nil || r.unknown != 0 {
				t.Errorf("restarts %t: look %d: %q, want %q; %+v", restarts, i, got, c.want, r)
			}
			if restarts {
				l = again(t, l)
				l.look(c.found)
			}
		}
	}
}

// Of more files than are remembered the oldest count as read by their time; what comes with an
// earlier one is told, whether the driver was there or not.
func TestOldFilesAreForgotten(t *testing.T) {
	l := newLedger(3, false, ranges{})
	var found []files.Found
	for i := range int64(10) {
		found = append(found, at(fmt.Sprint("f", i), 1, 100+i))
	}
	l.look(found)
	if got := takeAll(l); len(got) != 10 {
		t.Fatalf("%q", got)
	}
	if len(l.read) != 3 || l.before != time.Unix(107, 0).UnixNano() || l.older != 7 {
		t.Errorf("%d are known, others before %d, of which there are %d", len(l.read), l.before, l.older)
	}
	found = append(found, at("late", 1, 106), at("in time", 1, 107))
	l2 := again(t, l) // it wasn't there when they came
	r := l.look(found)
	if got := takeAll(l); !slices.Equal(got, []string{"in time"}) || !slices.Equal(r.late, []string{"late"}) || r.unknown != 0 {
		t.Errorf("%q, %+v", got, r)
	}
	if r := l.look(found); !reflect.DeepEqual(r, remarks{}) {
		t.Errorf("it is told again: %+v", r)
	}
	r = l2.look(found)
	if got := takeAll(l2); !slices.Equal(got, []string{"in time"}) || r.late != nil || r.unknown != 1 {
		t.Errorf("after a restart: %q, %+v", got, r)
	}
	found[10].Modified = time.Unix(200, 0) // touched
	l2.look(found)
	if got := takeAll(l2); !slices.Equal(got, []string{"late"}) {
		t.Errorf("touched: %q", got)
	}
}

// What is modified at one time, or later than a file that waits, isn't forgotten, and nothing
// more is taken when that is too much.
func TestWhatCantBeForgotten(t *testing.T) {
	same := newLedger(2, false, ranges{})
	var found []files.Found
	for i := range 9 {
		found = append(found, at(fmt.Sprint("f", i), 1, 100))
	}
	same.look(found)
	if takeAll(same); len(same.read) != 9 || same.before != time.Unix(100, 0).UnixNano() || !same.full() {
		t.Errorf("%d of 9 are known, others before %d", len(same.read), same.before)
	}
	same.look(append(found[8:], at("new", 1, 100))) // others were moved away
	if got := takeAll(same); !slices.Equal(got, []string{"new"}) || len(same.read) != 2 {
		t.Errorf("%q, %d are known", got, len(same.read))
	}
	waits := newLedger(2, true, ranges{})
	for look := range int64(3) {
		found = []files.Found{at("grows", 1+look, 50)}
		for i := range 9 {
			found = append(found, at(fmt.Sprint("f", i), 1, 100+int64(i)))
		}
		waits.look(found)
		takeAll(waits)
	}
	if len(waits.read) != 9 || waits.before != time.Unix(50, 0).UnixNano() {
		t.Errorf("%d of 9 are known, others before %d", len(waits.read), waits.before)
	}
	waits = again(t, waits) // its driver died
	waits.look(found)
	waits.look(found)
	if got := takeAll(waits); !slices.Equal(got, []string{"grows"}) || len(waits.read) != 2 {
		t.Errorf("%q, %d are known", got, len(waits.read))
	}
}

// Whatever comes, goes, is written slowly and is restarted: no file is read twice, and each that
// stays is read, as long as none comes with the time of what is forgotten.
func TestNoFileIsLostOrDoubled(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(7, seed))
		l := newLedger(1+random.IntN(20), random.IntN(2) == 0, ranges{})
		there, read, clock := map[string]files.Found{}, map[string]int{}, int64(1000)
		for step := range 60 {
			clock++
			for n := range random.IntN(4) {
				name := fmt.Sprint(step, "-", n)
				there[name] = at(name, int64(random.IntN(3)), clock)
			}
			var found []files.Found
			for name, f := range there {
				switch {
				case read[name] == 0 && random.IntN(4) == 0 && step < 55: // it is still written
					f.Size++
					f.Modified = time.Unix(clock, 0)
					there[name] = f
				case read[name] > 0 && random.IntN(10) == 0:
					delete(there, name)
					continue
				}
				found = append(found, f)
			}
			l.look(found)
			most := random.IntN(5)
			for _, name := range l.settled()[:min(most, len(l.settled()))] {
				l.take(name)
				read[name]++
			}
			if l.forget(); random.IntN(8) == 0 {
				l = again(t, l)
			}
		}
		var found []files.Found
		for _, f := range there {
			found = append(found, f)
		}
		for range 2 {
			l.look(found)
		}
		for _, name := range takeAll(l) {
			read[name]++
		}
		for name, f := range there {
			if want := min(1, int(f.Size)); read[name] != want {
				t.Fatalf("seed %d: %s was read %d times, want %d", seed, name, read[name], want)
			}
		}
	}
}

// Ranges are what they were when they are read again, and alike when they are written again.
func TestRanges(t *testing.T) {
	for name, r := range map[string]ranges{
		"none": {read: map[id]int64{}},
		"all": {
			files: []file{{"a", 5}, {"dir/b ü", 1 << 40}}, before: -3, passed: 7, total: 99,
			read: map[id]int64{1: 5, math.MaxUint64: math.MaxInt64, 2: math.MinInt64, 3: 5},
		},
	} {
		b, err := encodeRanges(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRanges(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %+v, want %+v; %v", name, got, r, err)
		}
		if second, err := encodeRanges(got); err != nil || !slices.Equal(second, b) {
			t.Errorf("%s is written in another way the second time", name)
		}
	}
	small, _ := encodeRanges(ranges{read: map[id]int64{1: time.Now().UnixNano(), 2: time.Now().UnixNano()}})
	if len(small) > 60 {
		t.Errorf("two files take %d bytes", len(small))
	}
}

// Bytes that aren't ranges are errors that say so.
func TestBadRanges(t *testing.T) {
	for name, c := range map[string]struct {
		e    any
		want error
	}{
		"another format":  {encodedRanges{Format: 2}, engine.ErrFormat},
		"no map":          {"text", engine.ErrCorruptLog},
		"sizes are short": {encodedRanges{Format: 1, Names: []string{"a"}}, engine.ErrCorruptLog},
		"an id is short":  {encodedRanges{Format: 1, Read: []byte{1, 2, 3}}, engine.ErrCorruptLog},
	} {
		b, err := msgpack.Marshal(c.e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRanges(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRanges(f *testing.F) {
	b, _ := encodeRanges(ranges{files: []file{{"a", 1}}, read: map[id]int64{1: 2, 3: 4}, before: 1})
	f.Add(b)
	f.Add([]byte(strings.Repeat("\xff", 20)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRanges(b)
		if err != nil {
			return
		}
		b, err = encodeRanges(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeRanges(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v became %+v; %v", r, got, err)
		}
	})
}
