package registry_test

import (
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/sr"
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

// Values of a JSON Schema are read, whoever has written them with the registry.
func ExampleJSON() {
	fake := srfake.New() // stands for a registry at http://registry:8081
	defer fake.Close()
	fake.SeedSchema("orders-value", 1, 7, sr.Schema{Schema: `{"type":"object"}`, Type: sr.TypeJSON})
	type Order struct {
		ID    string `json:"id"`
		Count int    `json:"count"`
	}
	reg, err := registry.New(fake.URL())
	if err != nil {
		log.Fatal(err)
	}
	decode, err := registry.JSON[Order](reg)
	if err != nil {
		log.Fatal(err)
	}
	order, err := decode(&kafka.Record{Value: []byte("\x00\x00\x00\x00\x07" + `{"id":"a","count":3}`)})
	fmt.Println(order, err)
	// Output: {a 3} <nil>
}
