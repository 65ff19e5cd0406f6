package ranges_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// The driver plans up to where each partition can be read now; executors read
// exactly that.
func Example() {
	ctx := context.Background()
	broker, err := embedded.Start(embedded.Options{Topics: []embedded.Topic{{Name: "words", Partitions: 1}}})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.DefaultProduceTopic("words"))
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	if err := producer.ProduceSync(ctx, kgo.StringRecord("one"), kgo.StringRecord("two")).FirstErr(); err != nil {
		log.Fatal(err)
	}

	options := ranges.Options{Brokers: broker.Addrs()}
	planner, err := ranges.NewPlanner(options, "words")
	if err != nil {
		log.Fatal(err)
	}
	defer planner.Close()
	reader, err := ranges.New(options)
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()

	partitions, err := planner.Plan(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range partitions {
		for rec, err := range reader.Read(ctx, p.Range(p.Start)) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("%d %s\n", rec.Offset, rec.Value)
		}
	}
	// Output:
	// 0 one
	// 1 two
}
