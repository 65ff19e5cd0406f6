package kafka

import (
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// Settings of programs, as Spark names them where it has them; nobody writes to
// these. The package's documentation lists them.
var (
	maxRatePerPartition = engine.Setting[float64]{
		Key:   "streaming.kafka.maxRatePerPartition",
		Help:  "records/s of one partition at most, 0 for no limit (0)",
		Parse: engine.Number(0, 1e9),
	}
	minRatePerPartition = engine.Setting[int64]{
		Key:     "streaming.kafka.minRatePerPartition",
		Help:    "records of one partition and batch at least, within maxRatePerPartition (1)",
		Default: 1,
		Parse:   engine.WholeNumber(0, 1e9),
	}
	maxBatchBytes = engine.Setting[int64]{
		Key:   "streaming.kafka.maxBatchBytes",
		Help:  "bytes that a record batch may take, also decompressed (100663296)",
		Parse: engine.WholeNumber(1<<10, 1<<30),
	}
	metadataMaxAge = engine.Setting[time.Duration]{
		Key:     "streaming.kafka.metadataMaxAge",
		Help:    "for how long a topic or a partition that is new, or deleted, may go unnoticed by streams (5s)",
		Default: 5 * time.Second,
		Parse:   engine.Duration(100*time.Millisecond, time.Hour),
	}
)

// DeclareSettings declares the connector's settings in a batch program that uses the connector
// only after its first action: a --conf key that nothing has declared by then is refused. --conf help
// lists those that are declared before the first action or value.
//
//	kafka.DeclareSettings(engine.EnvironmentOf(sc))
func DeclareSettings(e engine.Environment) { readSettings(e) }

// settings are the values of a program's settings.
type settings struct {
	limits   limits
	maxBatch int // bytes, 0 for the reader's default
	maxAge   time.Duration
}

// settingsKey finds the settings in a program.
type settingsKey struct{}

// readSettings returns the settings of a program's streams and ranges, read by the first.
func readSettings(e engine.Environment) settings {
	return e.Shared(settingsKey{}, func() any {
		return settings{
			limits:   limits{maxRate: maxRatePerPartition.Read(e), minimum: minRatePerPartition.Read(e)},
			maxBatch: int(maxBatchBytes.Read(e)),
			maxAge:   metadataMaxAge.Read(e),
		}
	}).(settings)
}
