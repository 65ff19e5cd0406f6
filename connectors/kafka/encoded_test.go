package kafka

import (
	"errors"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// What a batch reads is decoded once, however often it is asked for, and never taken for what
// another batch reads. What was encoded here is what others decode.
func TestCodecKeepsTheNewest(t *testing.T) {
	var driver, executor codec
	plans := [][]ranges.Range{
		{{Topic: "t", Partition: 0, From: 2, Until: 2}, {Topic: "t", Partition: 1, From: 2, Until: 5}},
		{{Topic: "t", Partition: 0, From: 2, Until: 3}, {Topic: "t", Partition: 1, From: 5, Until: 5}},
		{{Topic: "t", Partition: 0, From: 3, Until: 3}, {Topic: "t", Partition: 1, From: 5, Until: 5}},
		nil,
	}
	encoded := make([][]byte, len(plans))
	for i, rs := range plans {
		var err error
		if encoded[i], err = driver.encode(rs, true); err != nil {
			t.Fatal(err)
		}
		here, err := driver.decode(encoded[i])
		there, also := executor.decode(encoded[i])
		if err != nil || also != nil || !reflect.DeepEqual(here, there) || !reflect.DeepEqual(here.all, rs) {
			t.Errorf("plan %d is %v here, %v there; %v, %v", i, here, there, err, also)
		}
		if n := testing.AllocsPerRun(10, func() { _, _ = executor.decode(encoded[i]) }); n > 0 {
			t.Errorf("asking again for plan %d allocates %v times", i, n)
		}
	}
	for _, i := range []int{0, 1, 1, 3, 0, 2} {
		if got, err := executor.decode(encoded[i]); err != nil || !reflect.DeepEqual(got.all, plans[i]) {
			t.Errorf("plan %d is %v, %v", i, got, err)
		}
		if _, err := executor.decode(encoded[i][:4]); !errors.Is(err, engine.ErrCorruptLog) {
			t.Errorf("plan %d that is cut off: %v", i, err)
		}
		if got, err := executor.decode(nil); err != nil || len(got.all) > 0 {
			t.Errorf("nothing is %v, %v", got, err)
		}
	}
}

// What earlier versions have logged, by reflection, is read as it was, also with fields that come
// later; and what isn't whole is an error of the log.
func TestLoggedRanges(t *testing.T) {
	type topic struct {
		Name   string     `msgpack:"n"`
		ID     [16]byte   `msgpack:"id"`
		Ranges [][4]int64 `msgpack:"r"`
		Later  []string   `msgpack:"x,omitempty"`
	}
	type logged struct {
		Later  map[string]int `msgpack:"a,omitempty"`
		Format int            `msgpack:"v"`
		Topics []topic        `msgpack:"t"`
		Sparse bool           `msgpack:"s,omitempty"`
	}
	id := [16]byte{1, 15: 2}
	want := []ranges.Range{
		{Topic: "a", TopicID: id, Partition: 0, LeaderEpoch: 3, From: 5, Until: 1 << 40},
		{Topic: "a", TopicID: id, Partition: 1, LeaderEpoch: -1, From: 7, Until: 7},
		{Topic: "b", Partition: 2, From: 0, Until: 300},
	}
	both := logged{Format: 1, Topics: []topic{{"a", id, [][4]int64{{0, 3, 5, 1 << 40}, {1, -1, 7, 7}}, nil}, {"b", [16]byte{}, [][4]int64{{2, 0, 0, 300}}, nil}}}
	later, none, sparse := both, logged{Format: 1}, both
	later.Later, sparse.Sparse = map[string]int{"b": 1}, true
	later.Topics = []topic{both.Topics[0], both.Topics[1]}
	later.Topics[1].Later = []string{"c"}
	for name, c := range map[string]struct {
		of   logged
		want decoded
	}{
		"two topics":   {both, decoded{want, want}},
		"later fields": {later, decoded{want, want}},
		"no topics":    {none, decoded{}},
		"sparse":       {sparse, decoded{want, []ranges.Range{want[0], want[2]}}},
	} {
		b, err := msgpack.Marshal(&c.of)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodePlan(b); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		for n := 1; n < len(b); n++ {
			if _, err := decodePlan(b[:n]); !errors.Is(err, engine.ErrCorruptLog) {
				t.Errorf("%s, %d bytes of %d: %v", name, n, len(b), err)
			}
		}
	}
	for _, wrong := range []any{
		map[string]any{"v": 1, "t": []any{map[string]any{"n": "a", "r": []any{[]int{1, 2, 3}}}}},
		map[string]any{"v": 1, "t": []any{map[string]any{"n": "a", "r": []any{[]int{1, 2, 3, 4, 5}}}}},
		map[string]any{"v": 1, "t": []any{map[string]any{"n": "a", "id": make([]byte, 17)}}},
		map[string]any{"v": 1, "t": 7},
	} {
		b, err := msgpack.Marshal(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodePlan(b); !errors.Is(err, engine.ErrCorruptLog) {
			t.Errorf("%v gives %v, %v", wrong, got, err)
		}
	}
}
