package registry

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Values of a JSON Schema are JSON behind the schema's id.
func TestJSON(t *testing.T) {
	type point struct{ X, Y int }
	const schema = `{"type":"object","properties":{"X":{"type":"integer"},"Y":{"type":"integer"}}}`
	fake := srfake.New()
	defer fake.Close()
	fake.SeedSchema("orders-value", 1, 9, sr.Schema{Schema: v1})
	r := must[*Registry](t)(New(fake.URL()))
	encode := must[kafka.Encoder[point]](t)(JSONEncoder[point](r, "points-value", schema))
	decode := must[kafka.Decoder[point]](t)(JSON[point](r))
	b := must[[]byte](t)(encode(point{1, 2}))
	if string(b) != "\x00\x00\x00\x00\x0a"+`{"X":1,"Y":2}` {
		t.Errorf("written as %q", b)
	}
	if got := must[point](t)(decode(value(b))); got != (point{1, 2}) {
		t.Errorf("got %v", got)
	}
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"null":    {nil, "no value"},
		"plain":   {[]byte(`{"X":1,"Y":2}`), "begins with byte 0x7b"},
		"unknown": {append(frame(77), "{}"...), "no schema with id 77"},
		"avro":    {append(frame(9), "{}"...), "id 9 at " + fake.URL() + " is of type AVRO and not JSON"},
		"cut":     {b[:8], "decoding JSON with the schema with id 10"},
	} {
		if _, err := decode(value(c.value)); err == nil || !task.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := JSONEncoder[point](r, "points-value", "{"); err == nil || !strings.Contains(err.Error(), "registry.JSONEncoder: the schema isn't JSON") {
		t.Errorf("a schema that is none: %v", err)
	}
	if _, err := JSON[point](nil); err == nil {
		t.Error("no registry: no error")
	}
}
