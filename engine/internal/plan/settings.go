package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/modelstore"
)

// Settings holds the engine's settings, as Spark names them where it has them.
// They are given as --conf key=value.
type Settings struct {
	Backpressure       bool
	PID                Gains
	InitialRate        float64 // records/s of all inputs before there is an estimate
	MaxPending         int     // batches planned ahead of those that run
	ConcurrentJobs     int     // batches that run at a time
	StopGracefully     bool
	MaxResultSize      int // bytes
	MaxTaskFailures    int
	MaxStageTries      int
	LocalityWait       time.Duration
	ExecutorMemory     int64  // bytes for blocks in an executor's process; 0 for a part of what there is
	LocalDir           string // where blocks go that don't fit; "" for the system's temporary directory
	BuildTimeout       time.Duration
	CheckpointStore    string            // URL or path of the states' checkpoints; "" for the default
	CheckpointInterval time.Duration     // between two checkpoints of a state
	ModelStore         string            // URL or path; "" for the default
	ModelsRetained     int               // earlier versions of each model
	Other              map[string]string // what isn't the engine's: of connectors, or unknown
}

// Gains configures the estimator of an input's rate, a PID controller.
type Gains struct {
	Proportional, Integral, Derivative float64
	MinRate                            float64 // records/s
}

// DefaultSettings returns the settings of someone who sets nothing.
func DefaultSettings() Settings {
	return Settings{
		Backpressure:       true,
		PID:                Gains{Proportional: 1, Integral: 0.2, Derivative: 0, MinRate: 100},
		InitialRate:        100_000,
		MaxPending:         1,
		ConcurrentJobs:     1,
		StopGracefully:     true,
		MaxResultSize:      256 << 20,
		MaxTaskFailures:    4,
		MaxStageTries:      4,
		LocalityWait:       20 * time.Millisecond,
		BuildTimeout:       5 * time.Minute,
		CheckpointInterval: 10 * time.Second,
		ModelsRetained:     5,
		Other:              map[string]string{},
	}
}

// setting is one documented setting.
type setting struct {
	key, help string
	set       setter
}

// settings lists what --conf takes.
func settings() []setting {
	return []setting{
		{"streaming.backpressure.enabled", "plan no more than can be processed in time (true)", boolean(func(c *Settings) *bool { return &c.Backpressure })},
		{"streaming.backpressure.initialRate", "records/s of all inputs before there is an estimate (100000)", positive(func(c *Settings) *float64 { return &c.InitialRate }, maxRate)},
		{"streaming.backpressure.pid.proportional", "gain on the error (1.0)", notNegative(func(c *Settings) *float64 { return &c.PID.Proportional }, maxGain)},
		{"streaming.backpressure.pid.integral", "gain on the scheduling delay (0.2)", notNegative(func(c *Settings) *float64 { return &c.PID.Integral }, maxGain)},
		{"streaming.backpressure.pid.derived", "gain on the error's change (0.0)", notNegative(func(c *Settings) *float64 { return &c.PID.Derivative }, maxGain)},
		{"streaming.backpressure.pid.minRate", "lowest estimate, records/s of all inputs (100)", positive(func(c *Settings) *float64 { return &c.PID.MinRate }, maxRate)},
		{"streaming.maxPendingBatches", "batches planned ahead of the one that runs (1)", count(func(c *Settings) *int { return &c.MaxPending }, maxPending)},
		{"streaming.concurrentJobs", "batches that run at the same time, each output of which is done for one batch after the other (1)", count(func(c *Settings) *int { return &c.ConcurrentJobs }, maxConcurrent)},
		{"streaming.stopGracefullyOnShutdown", "finish what is planned on the first interrupt (true)", boolean(func(c *Settings) *bool { return &c.StopGracefully })},
		{"driver.buildTimeout", "how long the build function may run on the driver before the job fails (5m)", longer(func(c *Settings) *time.Duration { return &c.BuildTimeout }, leastBuild, maxBuild)},
		{"driver.maxResultSize", "bytes that one output may bring to the driver (268435456)", count(func(c *Settings) *int { return &c.MaxResultSize }, maxResult)},
		{"task.maxFailures", "failures of one task that fail the job (4)", count(func(c *Settings) *int { return &c.MaxTaskFailures }, maxTries)},
		{"stage.maxConsecutiveAttempts", "attempts of one stage that fail the job (4)", count(func(c *Settings) *int { return &c.MaxStageTries }, maxTries)},
		{"locality.wait", "how long a task waits for the executor it ran on last (20ms)", duration(func(c *Settings) *time.Duration { return &c.LocalityWait }, maxWait)},
		{"executor.memory", "what an executor keeps in memory of cached partitions, shuffles and tables of its tasks, e.g. 2g; the rest goes to disk (60 % of the machine's or the container's, shared by local-cluster's processes)", bytes(func(c *Settings) *int64 { return &c.ExecutorMemory }, leastMemory)},
		{"local.dir", "directory for what doesn't fit in memory (the system's for temporary files)", directory(func(c *Settings) *string { return &c.LocalDir })},
		{"checkpoint.store", "URL or directory of the checkpoints of keyed states (below --checkpoint, else a temporary directory; a cluster needs one)", address(func(c *Settings) *string { return &c.CheckpointStore })},
		{"checkpoint.interval", "how often a keyed state is saved, at least every 100 batches (10s)", longer(func(c *Settings) *time.Duration { return &c.CheckpointInterval }, leastCheckpoint, maxCheckpoint)},
		{"models.store", "URL or directory of the models' versions (below --checkpoint, else a temporary directory; a cluster needs one)", address(func(c *Settings) *string { return &c.ModelStore })},
		{"models.retained", "earlier versions of each model that are kept for a rollback (5)", count(func(c *Settings) *int { return &c.ModelsRetained }, maxRetained)},
	}
}

// Upper bounds of settings: what is above is a slip, would take the memory, or
// overflow.
const (
	maxRate         = 1e9  // records/s
	maxGain         = 1000 // of the PID's
	maxPending      = 10_000
	maxConcurrent   = 100
	maxResult       = min(1<<40, math.MaxInt/2) // bytes
	maxTries        = 1000
	maxRetained     = 10_000
	maxWait         = time.Hour
	leastMemory     = 16               // MiB: with less, tasks would write runs of a few records
	maxMemory       = float64(1 << 50) // bytes
	leastCheckpoint = time.Millisecond
	maxCheckpoint   = 24 * time.Hour
	leastBuild      = time.Second
	maxBuild        = 24 * time.Hour
)

// PrintSettings writes the engine's settings for people.
func PrintSettings(w io.Writer) {
	fmt.Fprint(w, "Settings (--conf key=value, defaults in brackets):\n")
	for _, s := range settings() {
		printSetting(w, s.key, s.help)
	}
}

func printSetting(w io.Writer, key, help string) { fmt.Fprintf(w, "  %-44s %s\n", key, help) }

// Set applies one key=value. A key that isn't the engine's is kept for the
// connectors, which declare theirs when the program is built: see
// [Program.UnknownSettings].
func (c *Settings) Set(pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if !ok || key == "" {
		return errors.New("it is not key=value; --conf help lists the settings")
	}
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		c.Other[key] = value
		return nil
	}
	return all[i].set(c, value)
}

// setter parses a setting's value.
type setter func(c *Settings, value string) error

func boolean(field func(*Settings) *bool) setter {
	return func(c *Settings, s string) (err error) {
		if *field(c), err = strconv.ParseBool(s); err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		return nil
	}
}

func positive(field func(*Settings) *float64, most float64) setter {
	return func(c *Settings, s string) error {
		v, err := number(s)
		if *field(c) = v; err == nil && v <= 0 {
			err = fmt.Errorf("%s is not above 0", s)
		}
		return cmp.Or(err, above(v, most))
	}
}

func notNegative(field func(*Settings) *float64, most float64) setter {
	return func(c *Settings, s string) error {
		v, err := number(s)
		if *field(c) = v; err == nil && v < 0 {
			err = fmt.Errorf("%s is negative", s)
		}
		return cmp.Or(err, above(v, most))
	}
}

// above refuses a value over an upper bound.
func above[T cmp.Ordered](v, most T) error {
	if v > most {
		return tooLarge(v, most)
	}
	return nil
}

func tooLarge(v, most any) error { return fmt.Errorf("%v is too large, at most %v goes", v, most) }

// number parses a finite number.
func number(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

func count(field func(*Settings) *int, most int) setter {
	return func(c *Settings, s string) error {
		v, err := WholeNumber(s, 1, int64(most))
		*field(c) = int(v)
		return err
	}
}

// WholeNumber parses a whole number within bounds.
func WholeNumber(s string, least, most int64) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && v > 0:
		return 0, tooLarge(s, most)
	case errors.Is(err, strconv.ErrRange):
		return 0, tooSmall(s, least)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return v, within(v, least, most)
}

// Number parses a number within bounds.
func Number(s string, least, most float64) (float64, error) {
	v, err := number(s)
	if err != nil {
		return 0, err
	}
	return v, within(v, least, most)
}

// within refuses a value outside of its bounds.
func within[T cmp.Ordered](v, least, most T) error {
	if v < least {
		return tooSmall(v, least)
	}
	return above(v, most)
}

func tooSmall(v, least any) error { return fmt.Errorf("%v is below %v", v, least) }

func duration(field func(*Settings) *time.Duration, most time.Duration) setter {
	return func(c *Settings, s string) error {
		v, err := ParseDuration(s)
		if *field(c) = v; err == nil && v < 0 {
			err = fmt.Errorf("%s is negative", s)
		}
		return cmp.Or(err, above(v, most))
	}
}

// longer is duration with a lower bound.
func longer(field func(*Settings) *time.Duration, least, most time.Duration) setter {
	return func(c *Settings, s string) error {
		if err := duration(field, most)(c, s); err != nil {
			return err
		}
		return within(*field(c), least, most)
	}
}

// ParseDuration is time.ParseDuration with an error that helps.
func ParseDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration, which has a unit, e.g. 500ms or 2s", s)
	}
	return v, nil
}

// Duration parses a duration within bounds.
func Duration(s string, least, most time.Duration) (time.Duration, error) {
	v, err := ParseDuration(s)
	if err != nil {
		return 0, err
	}
	return v, within(v, least, most)
}

// bytes is a number of bytes with a unit, at least so many MiB.
func bytes(field func(*Settings) *int64, leastMB int64) setter {
	return func(c *Settings, s string) error {
		v, err := ParseBytes(s)
		if *field(c) = v; err == nil && v < leastMB<<20 {
			err = tooSmall(s, fmt.Sprintf("%dm", leastMB))
		}
		return err
	}
}

// units are what numbers of bytes may end with, powers of 1024 as in Spark.
const units = "bkmgt"

// ParseBytes parses a number of bytes with a unit: 512m, 2g, 1.5 GiB. It is above 0.
func ParseBytes(s string) (int64, error) {
	rest := strings.TrimLeft(s, "0123456789.")
	v, err := number(s[:len(s)-len(rest)])
	unit := strings.ToLower(strings.TrimSpace(rest))
	letter := strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")
	power := strings.Index(units, cmp.Or(letter, "b"))
	if err != nil || unit == "" || len(letter) > 1 || power < 0 {
		return 0, fmt.Errorf("%q is not a number of bytes, which has a unit, e.g. 512m or 2g", s)
	}
	v *= float64(int64(1) << (10 * power))
	if v < 1 {
		return 0, fmt.Errorf("%s is not above 0", s)
	}
	return int64(v), above(v, maxMemory)
}

// directory is a path; on executors it may be another machine's.
func directory(field func(*Settings) *string) setter {
	return func(c *Settings, s string) error {
		if s == "" {
			return errors.New("it is empty")
		}
		path, err := filepath.Abs(s)
		*field(c) = path
		return err
	}
}

func address(field func(*Settings) *string) setter {
	return func(c *Settings, s string) (err error) {
		*field(c), err = modelstore.Address(s)
		return err
	}
}
