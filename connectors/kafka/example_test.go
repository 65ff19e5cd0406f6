package kafka_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
	"github.com/hibana-engine/hibana/engine"
)

// exampleBroker starts a broker with topics of one partition. put writes values to one of them,
// run a program that reads what is there, and ends.
func exampleBroker(topics ...string) (put func(topic string, values ...string), run func(build engine.BuildFunc), end func()) {
	var options embedded.Options
	for _, name := range topics {
		options.Topics = append(options.Topics, embedded.Topic{Name: name, Partitions: 1})
	}
	broker, err := embedded.Start(options)
	if err != nil {
		log.Fatal(err)
	}
	put = func(topic string, values ...string) {
		cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.DefaultProduceTopic(topic))
		if err != nil {
			log.Fatal(err)
		}
		defer cl.Close()
		for _, v := range values {
			if err := cl.ProduceSync(context.Background(), kgo.StringRecord(v)).FirstErr(); err != nil {
				log.Fatal(err)
			}
		}
	}
	run = func(build engine.BuildFunc) {
		args := []string{"--brokers", broker.Addrs()[0], "--until-end", "--log-level", "error"}
		if err := engine.NewApp("example").Run(context.Background(), args, time.Second, build); err != nil {
			log.Fatal(err)
		}
	}
	return put, run, broker.Close
}

// printed prints the rows of each batch.
func printed(d *engine.DStream[string]) {
	engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
		for _, row := range rows {
			fmt.Println(row)
		}
		return nil
	})
}

func ExampleSubscribePattern() {
	put, run, end := exampleBroker("orders.eu", "orders.us", "returns")
	defer end()
	put("orders.eu", "a", "b")
	put("orders.us", "c")
	put("returns", "d")
	run(func(ssc *engine.StreamingContext) error {
		printed(kafka.Direct(ssc, kafka.SubscribePattern(`orders\..*`), func(r *kafka.Record) (string, error) {
			return fmt.Sprintf("%s: %s", r.Topic, r.Value), nil
		}))
		return nil
	})
	// Output:
	// orders.eu: a
	// orders.eu: b
	// orders.us: c
}

// A stream goes on where another one, or a consumer group, has ended.
func ExampleAtGroup() {
	put, run, end := exampleBroker("orders")
	defer end()
	orders := func(ssc *engine.StreamingContext) error {
		start := kafka.AtGroup("billing").Or(kafka.Earliest())
		printed(kafka.Direct(ssc, kafka.Subscribe("orders"), kafka.StringValue, kafka.StartFrom(start), kafka.MirrorOffsets("billing")))
		return nil
	}
	put("orders", "a", "b")
	run(orders)
	fmt.Println("and then")
	put("orders", "c")
	run(orders)
	// Output:
	// a
	// b
	// and then
	// c
}

func ExampleSink() {
	put, run, end := exampleBroker("in", "out")
	defer end()
	put("in", "apple")
	run(func(ssc *engine.StreamingContext) error {
		kafka.Sink(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), "out", kafka.String,
			kafka.Key(func(fruit string) []byte { return []byte(fruit[:1]) }),
			kafka.Headers(func(fruit string) []kafka.Header {
				return []kafka.Header{{Key: "length", Value: fmt.Append(nil, len(fruit))}}
			}))
		return nil
	})
	run(func(ssc *engine.StreamingContext) error {
		printed(kafka.Direct(ssc, kafka.Subscribe("out"), func(r *kafka.Record) (string, error) {
			length, _ := r.Header("length")
			return fmt.Sprintf("%s=%s, length %s", r.Key, r.Value, length), nil
		}))
		return nil
	})
	// Output:
	// a=apple, length 5
}
