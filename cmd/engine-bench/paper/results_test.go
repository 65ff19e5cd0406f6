package paper

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

var testSettings = Settings{Images: 100, Recognised: 10, Brokers: "broker at b:1", Machine: "a machine, 2 cores"}

func mustOpen(t *testing.T, path string) *Results {
	t.Helper()
	r, err := Open(path, "id1", testSettings)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testRow(rep int) Row {
	return Row{
		Run: Run{Cell{Setup{3, 2}, 8, Both, Engine, 2}, rep}, Measured: Measured{Written: 123456.5, Read: 98765}, Images: 100, Seconds: 1.25,
		At: time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC),
	}
}

func TestResultsComeBack(t *testing.T) {
	path := t.TempDir() + "/results.csv"
	failed := testRow(2)
	failed.Measured, failed.Failed = Measured{}, "no broker, \"b:1\"\nanswers"
	r := mustOpen(t, path)
	for _, row := range []Row{testRow(1), failed} {
		if err := r.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	failed.Failed = `no broker, "b:1" answers` // in one line
	again, err := Open(path, "id2", testSettings)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if want := []Row{testRow(1), failed}; !reflect.DeepEqual(again.Rows, want) || again.ID != "id1" || again.Torn {
		t.Errorf("rows %+v\nwant %+v\nid %s, torn %t", again.Rows, want, again.ID, again.Torn)
	}
}

// A row that a crash cut off is dropped, wherever it was cut, and the next one stands in its place.
func TestTornRow(t *testing.T) {
	path := t.TempDir() + "/results.csv"
	r := mustOpen(t, path)
	if err := errors.Join(r.Add(testRow(1)), r.Add(testRow(2)), r.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size <= len(whole); size += 7 {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, path)
		complete := max(0, strings.Count(string(whole[:size]), "\n")-2)
		if len(r.Rows) != complete {
			t.Fatalf("%d of %d bytes: %d rows, want %d", size, len(whole), len(r.Rows), complete)
		}
		if err := errors.Join(r.Add(testRow(3)), r.Close()); err != nil {
			t.Fatal(err)
		}
		r = mustOpen(t, path)
		if len(r.Rows) != complete+1 || r.Torn || !reflect.DeepEqual(r.Rows[complete], testRow(3)) {
			t.Fatalf("%d of %d bytes: then rows %+v", size, len(whole), r.Rows)
		}
		_ = r.Close() // nothing was written
	}
}

func TestUnusableResults(t *testing.T) {
	const row = "3,2,8,both,engine,2,1,100,123.5,98.0,1.250,2026-11-30T05:00:00Z,\n"
	const settings = `{"id":"x","images":100,"recognised":10,"brokers":"broker at b:1","machine":"a machine, 2 cores"}` + "\n"
	for content, want := range map[string]string{
		"time,value\n1,2\n":                   "it isn't a results file of engine-bench paper; name another --out",
		"a line without an end":               "it isn't a results file of engine-bench paper; name another --out",
		banner + "1: {}\n":                    "it is of version 1, and this engine-bench knows version 2; go on with the engine-bench that wrote it, or name another --out",
		banner + "2: here\n":                  "the settings in line 1 aren't JSON",
		banner + "2: " + settings + "1,2,3\n": "line 2 is no row",
		banner + "2: " + settings + "1,1,8,read,bare,two,1,9,,,1,2026-11-30T05:00:00Z,\n": "line 2 is no row",
		banner + "2: " + strings.Replace(settings, "100", "500", 1) + row:                 "it is of other settings (images: 500 there, 100 now)",
		banner + "2: " + strings.Replace(settings, "b:1", "c:1", 1) + row:                 "it is of other settings (brokers: broker at c:1 there, broker at b:1 now)",
	} {
		path := t.TempDir() + "/results.csv"
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, "id1", testSettings)
		if !errors.Is(err, ErrResults) || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%q: error %v, want %q", content, err, want)
		}
		if left, _ := os.ReadFile(path); string(left) != content {
			t.Errorf("%q: the file was changed to %q", content, left)
		}
	}
}

// What measured nothing binds nobody: other settings begin the file again.
func TestResultsWithoutAMeasurement(t *testing.T) {
	path := t.TempDir() + "/results.csv"
	failed := testRow(1)
	failed.Measured, failed.Failed = Measured{}, "no broker answers"
	r := mustOpen(t, path)
	if err := errors.Join(r.Add(failed), r.Close()); err != nil {
		t.Fatal(err)
	}
	other := testSettings
	other.Brokers = "broker at c:1"
	r, err := Open(path, "id2", other)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) > 0 {
		t.Errorf("rows %+v are left", r.Rows)
	}
	if err := errors.Join(r.Add(testRow(1)), r.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "id3", testSettings); !errors.Is(err, ErrResults) || !strings.Contains(err.Error(), "broker at c:1 there, broker at b:1 now") {
		t.Errorf("with a measurement: error %v", err)
	}
	r, err = Open(path, "id3", other)
	if err != nil || !reflect.DeepEqual(r.Rows, []Row{testRow(1)}) {
		t.Fatalf("rows %+v, error %v", r.Rows, err)
	}
	_ = r.Close() // nothing was written
}

// smallDisk takes some bytes and then no more.
type smallDisk struct {
	appender
	room int
}

func (d *smallDisk) Write(b []byte) (int, error) {
	n, err := d.appender.Write(b[:min(len(b), d.room)])
	d.room -= n
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// A row for which the disk has no room leaves those before it whole.
func TestFullDisk(t *testing.T) {
	path := t.TempDir() + "/results.csv"
	r := mustOpen(t, path)
	if err := r.Add(testRow(1)); err != nil {
		t.Fatal(err)
	}
	r.file = &smallDisk{r.file, 10}
	if err := r.Add(testRow(2)); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "has no room") {
		t.Errorf("error %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, path)
	defer again.Close()
	if again.Torn || !reflect.DeepEqual(again.Rows, []Row{testRow(1)}) {
		t.Errorf("torn %t, rows %+v", again.Torn, again.Rows)
	}
}
