package kafka

import (
	"errors"
	"reflect"
	"testing"

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
