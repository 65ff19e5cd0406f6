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

// On a cluster, where daemons start the driver, the program ends with an error that says what to
// do.
func TestRefusedOnCluster(t *testing.T) {
	t.Setenv(role.Env, "driver")
	if _, err := (&input[string]{}).Open(t.Context()); !errors.Is(err, errCluster) {
		t.Error(err)
	}
}
