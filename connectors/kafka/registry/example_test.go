package registry_test

import (
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/registry"
)

// In a program the decoder goes to kafka.Direct or kafka.Range, the encoder to kafka.Sink.
func Example() {
	fake := srfake.New() // stands for a registry at http://registry:8081
	defer fake.Close()
	type Order struct {
		ID    string `avro:"id"`
		Count int    `avro:"count"`
	}
	reg, err := registry.New(fake.URL())
	if err != nil {
		log.Fatal(err)
	}
	encode, err := registry.AvroEncoder[Order](reg, "orders-value", "")
	if err != nil {
		log.Fatal(err)
	}
	decode, err := registry.Avro[Order](reg, "")
	if err != nil {
		log.Fatal(err)
	}
	value, err := encode(Order{ID: "a", Count: 3})
	if err != nil {
		log.Fatal(err)
	}
	order, err := decode(&kafka.Record{Value: value})
	fmt.Println(order, err)
	// Output: {a 3} <nil>
}
