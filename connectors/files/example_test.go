package files_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/files"
	"github.com/hibana-engine/hibana/engine"
)

// untilEnd runs a stream of what is in a directory with one file, and prints its elements.
func untilEnd[T any](name, text string, stream func(ssc *engine.StreamingContext, dir string) *engine.DStream[T]) {
	dir, err := os.MkdirTemp("", "hibana-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	err = engine.NewApp("example").Run(context.Background(), []string{"--until-end", "--log-level", "error"}, time.Second, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(stream(ssc, dir), func(_ engine.Batch, rows []T) error {
			for _, r := range rows {
				fmt.Println(r)
			}
			return nil
		})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}

// The lines of files that appear in a directory; with --until-end of those that are there.
func ExampleTextFileStream() {
	untilEnd("a.log", "GET /\nPUT /a\nGET /a\n", func(ssc *engine.StreamingContext, dir string) *engine.DStream[string] {
		lines := files.TextFileStream(ssc, dir, files.Matching("*.log"), files.Every(10*time.Millisecond))
		return lines.Filter(func(line string) bool { return strings.HasPrefix(line, "GET") })
	})
	// Output:
	// GET /
	// GET /a
}

// A format that isn't one of lines, here CSV with a comment on its first line.
func ExampleFileStream() {
	decode := func(path string, data []byte) ([][]string, error) {
		r := csv.NewReader(strings.NewReader(string(data)))
		r.Comment = '#'
		return r.ReadAll()
	}
	untilEnd("a.csv", "# city, stops\nKyoto,3\n\"Nara, Asuka\",1\n", func(ssc *engine.StreamingContext, dir string) *engine.DStream[[]string] {
		return files.FileStream(ssc, dir, decode, files.Every(10*time.Millisecond))
	})
	// Output:
	// [Kyoto 3]
	// [Nara, Asuka 1]
}

// Samples of two bytes each.
func ExampleBinaryRecordsStream() {
	untilEnd("a.bin", "\x00\x01\x00\x02\x01\x00", func(ssc *engine.StreamingContext, dir string) *engine.DStream[int] {
		samples := files.BinaryRecordsStream(ssc, dir, 2, files.Every(10*time.Millisecond))
		return engine.Map(samples, func(b []byte) int { return int(b[0])<<8 | int(b[1]) })
	})
	// Output:
	// 1
	// 2
	// 256
}
