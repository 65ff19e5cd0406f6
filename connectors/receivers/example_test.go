package receivers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers"
	"github.com/hibana-engine/hibana/engine"
)

// A receiver of the program's own: here it receives three readings, and then nothing more.
func ExampleStream() {
	err := engine.NewApp("example").Run(context.Background(), []string{"--asap", "--log-level", "error"}, time.Second, func(ssc *engine.StreamingContext) error {
		readings := receivers.Stream(ssc, "readings", func(ctx context.Context, store receivers.Store) error {
			return store(ctx, []byte("12.5"), []byte("13"), []byte("12.75"))
		})
		engine.ForEachBatch(readings, func(_ engine.Batch, rows [][]byte) error {
			for _, r := range rows {
				fmt.Printf("%s\n", r)
			}
			if len(rows) > 0 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// 12.5
	// 13
	// 12.75
}
