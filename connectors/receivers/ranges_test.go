package receivers

import (
	"errors"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
)

// Ranges are what they were when they are read again; bytes that aren't ranges are errors.
func TestRanges(t *testing.T) {
	r := ranges{dir: "/tmp/x", from: 7, parts: []segments.Part{{Segment: 3, From: 8, Until: 99, Records: 2}}, until: segments.Position{Record: 9, Segment: 3, Byte: 99}}
	b, err := encodeRanges(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeRanges(b); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, want %+v; %v", got, r, err)
	}
	later, err := msgpack.Marshal(encodedRanges{Format: rangesFormat + 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeRanges(later); !errors.Is(err, engine.ErrFormat) {
		t.Error(err)
	}
	if _, err := decodeRanges(b[:len(b)-1]); !errors.Is(err, engine.ErrCorruptLog) {
		t.Error(err)
	}
}

// Shared ranges are what they were, too, and neither kind is taken for the other.
func TestSharedRanges(t *testing.T) {
	r := sharedRanges{
		Logs: []position{{"a", 3, 9}, {"b", 0, 4}},
		Partitions: [][]part{
			{{0, segments.File{First: 3, Records: 6, Bytes: 99}}},
			{{1, segments.File{First: 0, Records: 1, Bytes: 20}}, {1, segments.File{First: 1, Records: 3, Bytes: 30}}},
		},
	}
	b, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeShared(b); err != nil || !isShared(b) || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, want %+v; %v", got, r, err)
	}
	if r.from("a") != 3 || r.next("b") != 4 || r.next("c") != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := decodeRanges(b); !errors.Is(err, engine.ErrFormat) || !errors.Is(err, errMoved) {
		t.Error(err)
	}
	local, err := encodeRanges(ranges{from: 7})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeShared(local); !errors.Is(err, engine.ErrFormat) || !errors.Is(err, errMoved) || isShared(local) {
		t.Error(err)
	}
	for _, e := range []encodedShared{
		{Format: sharedFormat, Logs: []string{"a"}, From: []int64{1}},
		{Format: sharedFormat, Partitions: [][][4]int64{{{0, 1, 2, 3}}}},
	} {
		bad, err := msgpack.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeShared(bad); !errors.Is(err, engine.ErrCorruptLog) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// A path is one machine's, but on a cluster, where daemons start the driver.
func TestManyReach(t *testing.T) {
	for _, c := range []struct {
		dir, role string
		want      bool
	}{{"/received", "", false}, {"s3://bucket/received", "", true}, {"/received", "driver", true}} {
		t.Setenv(role.Env, c.role)
		if got := manyReach(c.dir); got != c.want {
			t.Errorf("%s in role %q: %v", c.dir, c.role, got)
		}
	}
}
