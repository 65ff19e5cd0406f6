package kafka_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A record that isn't JSON doesn't get better by another attempt.
func TestBadJSONIsPermanent(t *testing.T) {
	for value, permanent := range map[string]bool{"x": true, "1": false} {
		if _, err := kafka.JSONValue[int](&kafka.Record{Value: []byte(value)}); task.IsPermanent(err) != permanent {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// A value of msgpack is decoded; what isn't one, and what says that it has more than is there, is
// a bad record, and takes neither memory nor the stack.
func TestMsgpackValue(t *testing.T) {
	type order struct {
		ID    string `msgpack:"id"`
		Parts []int  `msgpack:"parts"`
	}
	packed, err := msgpack.Marshal(map[string]any{"id": "a", "parts": []int{1, 70000}, "unknown": []any{nil, 1.5, []byte("b")}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := kafka.MsgpackValue[order](&kafka.Record{Value: packed})
	if err != nil || got.ID != "a" || len(got.Parts) != 2 || got.Parts[1] != 70000 {
		t.Errorf("%+v, %v", got, err)
	}
	deep := strings.Repeat("\x91", 1<<20) + "\xc0"
	for value, says := range map[string]string{
		"":                                  "cut short",
		string(packed[:len(packed)-1]):      "cut short",
		string(packed) + "\x01":             "1 bytes follow the value",
		"\xa1a":                             "msgpack", // a string is no order
		"\x81\xa5parts\xdd\xff\xff\xff\xff": "cut short",
		"\xdf\xff\xff\xff\xff":              "cut short",
		"\xc6\xff\xff\xff\xff":              "cut short",
		"\xc1":                              "byte c1",
		"\x81\xa7unknown" + deep:            "lie in one another",
	} {
		_, err := kafka.MsgpackValue[order](&kafka.Record{Value: []byte(value)})
		if err == nil || !strings.Contains(err.Error(), says) || !task.IsPermanent(err) {
			t.Errorf("%.20q: %v", value, err)
		}
	}
}

// FuzzMsgpackValue finds bytes that take the decoder beyond its bounds.
func FuzzMsgpackValue(f *testing.F) {
	for _, v := range []any{nil, -1, 1 << 40, 1.5, "text", []byte("bytes"), []int{1, 2}, map[string]any{"a": []any{true}}} {
		b, err := msgpack.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\xd8\x010123456789abcdef"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &kafka.Record{Value: b}
		v, err := kafka.MsgpackValue[any](r)
		if err != nil {
			return
		}
		if again, err := msgpack.Marshal(v); err == nil {
			if _, err := kafka.MsgpackValue[any](&kafka.Record{Value: again}); err != nil {
				t.Errorf("%q was taken, %q isn't: %v", b, again, err)
			}
		}
		_, _ = kafka.MsgpackValue[[]int](r)
		_, _ = kafka.MsgpackValue[map[string][]string](r)
	})
}

// A record of a compacted topic that has no value deletes what its key stands for.
func ExampleNullable() {
	decode := kafka.Nullable(kafka.JSONValue[int])
	for _, value := range [][]byte{[]byte("7"), nil} {
		price, err := decode(&kafka.Record{Value: value})
		fmt.Println(price, err)
	}
	// Output:
	// Some(7) <nil>
	// None <nil>
}

// A null value is told from an empty one, and the decoder isn't asked about it.
func TestNullable(t *testing.T) {
	bad := errors.New("bad")
	decode := kafka.Nullable(func(r *kafka.Record) (string, error) {
		if string(r.Value) == "bad" {
			return "half", bad
		}
		return kafka.StringValue(r)
	})
	for _, c := range []struct {
		value []byte
		want  rdd.Option[string]
		err   error
	}{
		{nil, rdd.None[string](), nil},
		{[]byte{}, rdd.Some(""), nil},
		{[]byte("x"), rdd.Some("x"), nil},
		{[]byte("bad"), rdd.None[string](), bad},
	} {
		if got, err := decode(&kafka.Record{Value: c.value}); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %v, %v", c.value, got, err)
		}
	}
	if kafka.Nullable[int](nil) != nil {
		t.Error("no decoder is none")
	}
}
