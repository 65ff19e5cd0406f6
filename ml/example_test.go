package ml_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// shown runs a program on the weights that a network begins with, as if they had been trained
// before and embedded, and prints what its first batch makes.
func shown(net serializers.Stateful, program func(ssc *engine.StreamingContext, weights []byte) *engine.DStream[string]) {
	var weights bytes.Buffer
	if err := serializers.WriteNPZ(&weights, net); err != nil {
		fmt.Println(err)
		return
	}
	printed(func(ssc *engine.StreamingContext) *engine.DStream[string] { return program(ssc, weights.Bytes()) })
}

// printed runs a program and prints what its first batch makes.
func printed[T any](program func(ssc *engine.StreamingContext) *engine.DStream[T]) {
	err := engine.NewApp("example").Run(context.Background(), []string{"--log-level", "error"}, time.Millisecond, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(program(ssc), func(_ engine.Batch, rows []T) error {
			for _, r := range rows {
				fmt.Println(r)
			}
			ssc.Stop()
			return nil
		})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}
