package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
)

// keys returns a source of records of 8 bytes, each one of n numbers, all as often, the
// same every time.
func keys(n int) func() []byte {
	r := rand.New(rand.NewSource(1))
	return func() []byte {
		return binary.BigEndian.AppendUint64(nil, uint64(r.Intn(n)))
	}
}

// keyOf reads a record that keys made.
func keyOf(value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("a record of %d bytes is no key", len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// one decodes a record that keys made as one of its key.
func one(r *kafka.Record) (rdd.Pair[uint64, int64], error) {
	k, err := keyOf(r.Value)
	return rdd.KV(k, int64(1)), err
}

func add(a, b int64) int64 { return a + b }

func subtract(a, b int64) int64 { return a - b }
