package kafka_test

import (
	"testing"

	"github.com/hibana-engine/hibana/connectors/kafka"
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
