package receivers

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/files"
)

// driver is one of the drivers that a job has had, with the log of a receiver that tells it.
type driver struct {
	*sharedPlanner
	own *ownLog
	t   *testing.T
}

// newDriver returns a driver that plans, and a log as an executor has that runs the input's receiver.
func newDriver(t *testing.T, dir string) driver {
	t.Helper()
	s := sharedSource(t, dir, nil)
	l, err := openShared(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	own, err := openOwn(t.Context(), s, teller{l.Told})
	if err != nil {
		t.Fatal(err)
	}
	return driver{l, own, t}
}

// sharedSource returns the source of a stream whose logs are below a directory.
func sharedSource(t *testing.T, dir string, receive Receiver) source {
	t.Helper()
	at, err := files.Parse(dir)
	if err != nil {
		t.Fatal(err)
	}
	return source{op: "test", at: at, options: options{maxBytes: leastBytes}, receive: receive, parallelism: 2, logger: slog.New(slog.DiscardHandler)}
}

func (d driver) close() {
	d.t.Helper()
	if err := errors.Join(d.own.close(), d.Close()); err != nil {
		d.t.Error(err)
	}
}

// store stores texts.
func (d driver) store(texts ...string) {
	d.t.Helper()
	for _, text := range texts {
		if err := d.own.Append(d.t.Context(), []byte(text)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// batch plans a batch behind another one, and returns its ranges and what it reads.
func (d driver) batch(previous, kept []byte, budget float64) (encoded []byte, read string, left int64) {
	d.t.Helper()
	plan, err := d.Plan(d.t.Context(), engine.PlanRequest{Previous: previous, Kept: kept, Budget: budget})
	if err != nil || plan.Held != "" {
		d.t.Fatalf("held up by %q, %v", plan.Held, err)
	}
	return plan.Ranges, strings.Join(d.read(plan.Ranges), " "), plan.Backlog
}

// read returns what a batch reads.
func (d driver) read(encoded []byte) (read []string) {
	d.t.Helper()
	r, err := decodeShared(encoded)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, parts := range r.Partitions {
		for _, p := range parts {
			for record, err := range segments.ReadFile(d.t.Context(), d.bucket, filepath.Join(d.at.Key, r.Logs[p.log].Log), p.File) {
				if err != nil {
					d.t.Fatal(err)
				}
				read = append(read, string(record))
			}
		}
	}
	return read
}

// stored returns how many files there are in all logs.
func stored(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*.records"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// What a driver has stored is read once and in order, by whichever driver plans the batch, also
// what it stores when another one has taken its place.
func TestTakingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := newDriver(t, dir)
		first.store("a", "b", "c")
		one, read, left := first.batch(nil, nil, 2)
		if read != "a b" || left != 1 {
			t.Errorf("the first batch reads %q, %d are left", read, left)
		}
		time.Sleep(time.Second)
		second := newDriver(t, dir)
		second.store("A", "B")
		first.store("d")
		two, read, left := second.batch(one, nil, 3)
		if read != "c d A" || left != 1 {
			t.Errorf("the second driver's first batch reads %q, %d are left", read, left)
		}
		first.store("e") // it doesn't know yet
		three, read, _ := second.batch(two, nil, 0)
		if read != "B" {
			t.Errorf("before the next look a batch reads %q", read)
		}
		time.Sleep(lookEvery)
		four, read, _ := second.batch(three, nil, 0)
		if read != "e" {
			t.Errorf("after it a batch reads %q", read)
		}
		if again := second.read(two); !slices.Equal(again, []string{"c", "d", "A"}) {
			t.Errorf("again the batch reads %q", again)
		}
		first.close()
		second.close()

		third := newDriver(t, dir) // its first look comes with its first batch
		if _, read, _ := third.batch(four, nil, 0); read != "" {
			t.Errorf("a batch reads %q again", read)
		}
		if _, read, _ := third.batch(nil, nil, 0); read != "a b c d e A B" {
			t.Errorf("a job that begins anew reads %q", read)
		}
		third.close()
	})
}

// What was processed is removed when the log of batches knows that, and no window reaches back to
// it, whichever driver has stored it. Where it stays although it was to be removed it isn't read again.
func TestSharedFilesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := newDriver(t, dir)
		first.store("a", "b")
		one, _, _ := first.batch(nil, nil, 1)
		first.close()
		time.Sleep(time.Second)
		second := newDriver(t, dir)
		second.store("A")
		two, read, _ := second.batch(one, one, 0)
		if read != "b A" || stored(t, dir) != 3 {
			t.Errorf("a batch reads %q of %d files", read, stored(t, dir))
		}
		ranges := two
		for i, c := range []struct {
			complete, kept []byte
			want           int // files, when the batch is planned
		}{
			{two, one, 3}, // nothing says yet that it's logged
			{nil, one, 3}, // the window
			{nil, two, 2},
			{nil, nil, 0},
		} {
			if c.complete != nil {
				if err := second.Completed(t.Context(), c.complete); err != nil {
					t.Fatal(err)
				}
			}
			ranges, read, _ = second.batch(ranges, c.kept, 0)
			synctest.Wait()
			if n := stored(t, dir); n != c.want || read != "" {
				t.Errorf("step %d: %d files are left, want %d; a batch reads %q", i+1, n, c.want, read)
			}
		}
		// As if the file of b were still there.
		if err := os.WriteFile(filepath.Join(dir, first.own.name, fmt.Sprintf("%019d-1.records", 1)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		ranges, read, _ = second.batch(ranges, nil, 0)
		if r, err := decodeShared(ranges); err != nil || len(r.Logs) != 1 || r.Logs[0].Log != first.own.name || read != "" {
			t.Errorf("a file that stayed: %+v, %v", r, err)
		}
		second.batch(ranges, nil, 0)
		time.Sleep(lookEvery)
		ranges, _, _ = second.batch(ranges, nil, 0)
		if r, err := decodeShared(ranges); err != nil || len(r.Logs) != 0 || stored(t, dir) != 0 {
			t.Errorf("logs without files aren't forgotten: %+v, %v", r, err)
		}
		second.store("B") // into a log that was forgotten
		ranges, read, _ = second.batch(ranges, nil, 0)
		if read != "B" {
			t.Errorf("a batch reads %q", read)
		}
		if _, read, _ = second.batch(ranges, nil, 0); read != "" {
			t.Errorf("a batch reads %q again", read)
		}
		second.close()
	})
}

// Of a log that is written what was told counts, and nothing else: what is listed may lack a file
// and have the next. When nobody writes it any more, as far as is known, it is listed.
func TestLogThatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, t.TempDir())
		d.Told(encoded(t, message{Log: d.own.name}))
		d.store("a", "b")
		told := d.news.take()
		d.Told(encoded(t, told[0]))
		one, read, _ := d.batch(nil, nil, 0)
		if read != "a" {
			t.Errorf("a batch reads %q", read)
		}
		d.Lost("its executor is gone")
		time.Sleep(lookEvery)
		plan, err := d.Plan(t.Context(), engine.PlanRequest{Previous: one})
		if read := d.read(plan.Ranges); err != nil || !slices.Equal(read, []string{"b"}) || plan.Held != "nothing is received: its executor is gone" {
			t.Errorf("a batch reads %q, held up by %q, %v", read, plan.Held, err)
		}
		d.Told(encoded(t, told[1])) // late
		d.Told(encoded(t, message{}))
		if _, read, _ := d.batch(plan.Ranges, nil, 0); read != "" {
			t.Errorf("a batch reads %q again", read)
		}
		d.close()
	})
}

// What is received goes on to be known by its log's position when nobody writes it any more, also if
// that is heard while a look is under way, which hasn't listed the log.
func TestLostDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, t.TempDir())
		d.Told(encoded(t, message{Log: d.own.name}))
		d.store("a", "b")
		one, _, _ := d.batch(nil, nil, 0)
		d.logs[d.own.name] = nil // complete, and given to be removed, which takes its time
		written := d.news.written()
		found, err := d.found(t.Context(), written)
		if err != nil {
			t.Fatal(err)
		}
		d.Lost("its executor is gone")
		d.merge(found, written)
		two, read := d.plan(one)
		time.Sleep(lookEvery)
		if _, again := d.plan(two); read != "" || again != "" {
			t.Errorf("batches read %q and %q again", read, again)
		}
		d.close()
	})
}

// plan plans a batch behind another one while nobody receives.
func (d driver) plan(previous []byte) (encoded []byte, read string) {
	d.t.Helper()
	plan, err := d.Plan(d.t.Context(), engine.PlanRequest{Previous: previous})
	if err != nil {
		d.t.Fatal(err)
	}
	return plan.Ranges, strings.Join(d.read(plan.Ranges), " ")
}

// Directories without files are removed when they are old: of logs, but not of the one that is
// written, and of drivers, but not of a newer one. A driver that ends removes its own.
func TestDirectoriesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		there := func() (names []string) {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names
		}
		crashed := newDriver(t, dir)
		time.Sleep(time.Second)
		first := newDriver(t, dir)
		first.store("a")
		first.Told(encoded(t, message{Log: first.own.name}))
		time.Sleep(time.Second)
		second := newDriver(t, dir)
		for _, name := range []string{"of-somebody-else", "1-x"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, read, _ := second.batch(nil, nil, 0); read != "a" || len(there()) != 8 {
			t.Errorf("a batch reads %q; there are %q", read, there())
		}
		time.Sleep(emptyFor + 1)
		first.batch(nil, nil, 0)
		want := []string{first.mark, first.own.name, second.mark, "1-x", "of-somebody-else"}
		if slices.Sort(want); !slices.Equal(there(), want) {
			t.Errorf("there are %q, want %q", there(), want)
		}
		second.store("b") // where there is no directory any more
		first.close()
		if second.batch(nil, nil, 0); slices.Contains(there(), first.mark) || !slices.Contains(there(), second.own.name) {
			t.Errorf("there are %q", there())
		}
		second.close()
		crashed.close()
	})
}

// encoded returns a message as a receiver tells it.
func encoded(t *testing.T, m message) (b []byte) {
	t.Helper()
	teller{func(sent []byte) { b = sent }}.tell(m)
	return b
}

// Where logs can't be listed what is received is processed all the same, and the stream says so;
// what was read before isn't forgotten.
func TestLogsThatCantBeListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := newDriver(t, dir)
		first.store("a", "b")
		one, _, _ := first.batch(nil, nil, 1)
		first.close()
		second := newDriver(t, dir)
		second.store("A")
		if err := os.Rename(dir, dir+"x"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		plan, err := second.Plan(t.Context(), engine.PlanRequest{Previous: one})
		if err != nil || plan.Held == "" || plan.Records != 1 {
			t.Fatalf("%d records, held up by %q, %v", plan.Records, plan.Held, err)
		}
		if r, err := decodeShared(plan.Ranges); err != nil || len(r.Logs) != 2 || r.next(first.own.name) != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if second.patience != 2*lookTimeout {
			t.Errorf("the next look may take %s", second.patience)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir+"x", dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery - 1)
		why := plan.Held // every batch says so, and waits for no look
		if plan, err = second.Plan(t.Context(), engine.PlanRequest{Previous: plan.Ranges}); err != nil || plan.Held != why || plan.Records != 0 {
			t.Errorf("%d records, held up by %q, %v", plan.Records, plan.Held, err)
		}
		time.Sleep(time.Nanosecond)
		if _, read, _ := second.batch(plan.Ranges, nil, 0); read != "b" {
			t.Errorf("a batch reads %q", read)
		}
		if second.patience != lookTimeout {
			t.Errorf("the next look may take %s", second.patience)
		}
		second.close()
	})
}

// A file that can't be removed is tried again, until it is gone.
func TestRemovalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDriver(t, dir)
		d.store("a", "b")
		name := d.own.Files()[0]
		if err := os.Rename(filepath.Join(dir, d.own.name), filepath.Join(dir, "x")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.own.name), nil, 0o600); err != nil { // where a directory should be
			t.Fatal(err)
		}
		d.sweep(d.own.name, []segments.File{name}, name.Until())
		time.Sleep(time.Minute)
		if err := os.Remove(filepath.Join(dir, d.own.name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, d.own.name)); err != nil {
			t.Fatal(err)
		}
		if n := stored(t, dir); n != 2 {
			t.Errorf("%d files are there", n)
		}
		time.Sleep(longestPause)
		synctest.Wait()
		if n := stored(t, dir); n != 1 {
			t.Errorf("%d files are left", n)
		}
		d.close()
	})
}

// What is too much to be removed is given to be removed later.
func TestTooMuchToRemove(t *testing.T) {
	s := &sweeper{gone: make(chan removal, 2)} // which removes nothing yet
	l := &sharedPlanner{sweeper: s}
	list := []segments.File{{First: 0, Records: 1}, {First: 1, Records: 1}, {First: 2, Records: 1}, {First: 3, Records: 1}}
	left := l.sweep("log", list, 3)
	if len(left) != 2 || left[0].First != 2 {
		t.Fatalf("%v are left", left)
	}
	<-s.gone
	if left = l.sweep("log", left, 3); len(left) != 1 || left[0].First != 3 {
		t.Errorf("%v are left", left)
	}
}

// A batch takes more files where batches come seldom, and leaves what is too much to the next one.
func TestFilesOfABatch(t *testing.T) {
	for interval, want := range map[time.Duration]int64{0: 1000, 500 * time.Millisecond: 1000, 3 * time.Second: 3000, time.Hour: maxFiles} {
		synctest.Test(t, func(t *testing.T) {
			d := newDriver(t, t.TempDir())
			list := make([]segments.File, maxFiles+10)
			for i := range list {
				list[i] = segments.File{First: int64(i), Records: 1}
			}
			d.logs, d.tried, d.looked = map[string][]segments.File{"0": list}, time.Now(), time.Now()
			plan, err := d.Plan(t.Context(), engine.PlanRequest{Interval: interval})
			if err != nil || plan.Records != want || plan.Backlog != int64(len(list))-want {
				t.Errorf("every %s: a batch reads %d files, %d are left: %v", interval, plan.Records, plan.Backlog, err)
			}
			d.close()
		})
	}
}

// A directory that isn't mounted any more isn't taken for one without logs.
func TestDirectoryThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDriver(t, dir)
		if err := os.Rename(dir, dir+"x"); err != nil {
			t.Fatal(err)
		}
		plan, err := d.Plan(t.Context(), engine.PlanRequest{})
		if err != nil || !strings.Contains(plan.Held, filepath.Join(dir, d.mark)+" is gone: see that it is mounted") {
			t.Errorf("held up by %q, %v", plan.Held, err)
		}
		d.close()
	})
}

// Parts are dealt in their order, about as many records to each partition.
func TestDealt(t *testing.T) {
	for _, c := range []struct {
		records    []int64
		partitions int
		want       string
	}{
		{nil, 3, ""},
		{[]int64{5}, 3, "5"},
		{[]int64{1, 1, 1, 1, 1, 1}, 3, "1+1 1+1 1+1"},
		{[]int64{10, 1, 1}, 2, "10 1+1"},
		{[]int64{1, 1, 10}, 2, "1+1+10"},
		{[]int64{4, 4, 4, 4}, 1, "4+4+4+4"},
	} {
		var parts []part
		var all int64
		for _, n := range c.records {
			parts, all = append(parts, part{0, segments.File{Records: n}}), all+n
		}
		var got []string
		for _, p := range dealt(parts, all, c.partitions) {
			var sum []string
			for _, one := range p {
				sum = append(sum, fmt.Sprint(one.Records))
			}
			got = append(got, strings.Join(sum, "+"))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v to %d partitions: %q, want %q", c.records, c.partitions, s, c.want)
		}
	}
}
