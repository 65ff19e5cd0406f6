package kafka_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// What a decoder can't judge isn't left out as a bad record: the task is tried again, or the job fails.
func TestUnavailableIsNoBadRecord(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, kgo.StringRecord("bad"), kgo.StringRecord("good"))
		down := errors.New("the registry is down")
		for _, c := range []struct {
			name   string
			errs   []error // of the attempts at the good record
			want   []string
			failed string
		}{
			{"comes back", []error{down}, []string{"good"}, ""},
			{"refuses", []error{rdd.Permanent(down)}, nil, "topic in partition 0 at offset 1: the registry is down"},
		} {
			var got []string
			err := run(t, b, func(ssc *engine.StreamingContext) error {
				left := c.errs
				decode := func(r *kafka.Record) (string, error) {
					if string(r.Value) == "bad" {
						return "", errors.New("it is bad")
					}
					if len(left) > 0 {
						err := left[0]
						left = left[1:]
						return "", &kafka.UnavailableError{Err: err}
					}
					return string(r.Value), nil
				}
				engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), decode, kafka.OnBadRecord(kafka.Skip())), func(_ engine.Batch, rows []string) error {
					got = append(got, rows...)
					return nil
				})
				return nil
			}, "--until-end")
			if (err != nil) != (c.failed != "") || (err != nil && !strings.Contains(err.Error(), c.failed)) {
				t.Errorf("%s: %v", c.name, err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	}, "in")
}
