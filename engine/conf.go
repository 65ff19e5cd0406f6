package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/modelstore"
)

// conf holds the engine's settings, as Spark names them where it has them.
// They are given as --conf key=value.
type conf struct {
	backpressure    bool
	pid             pidGains
	initialRate     float64 // records/s of an input before there is an estimate
	maxPending      int     // batches planned ahead of the one that runs
	stopGracefully  bool
	maxResultSize   int // bytes
	maxTaskFailures int
	maxStageTries   int
	localityWait    time.Duration
	modelStore      string            // URL or path; "" for the default
	modelsRetained  int               // earlier versions of each model
	other           map[string]string // settings of connectors
}

// defaultConf returns the settings of someone who sets nothing.
func defaultConf() conf {
	return conf{
		backpressure:    true,
		pid:             pidGains{proportional: 1, integral: 0.2, derivative: 0, minRate: 100},
		initialRate:     100_000,
		maxPending:      4,
		stopGracefully:  true,
		maxResultSize:   256 << 20,
		maxTaskFailures: 4,
		maxStageTries:   4,
		localityWait:    20 * time.Millisecond,
		modelsRetained:  5,
		other:           map[string]string{},
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
		{"streaming.backpressure.enabled", "plan no more than can be processed in time (true)", boolean(func(c *conf) *bool { return &c.backpressure })},
		{"streaming.backpressure.initialRate", "records/s of an input before there is an estimate (100000)", positive(func(c *conf) *float64 { return &c.initialRate }, maxRate)},
		{"streaming.backpressure.pid.proportional", "gain on the error (1.0)", notNegative(func(c *conf) *float64 { return &c.pid.proportional }, maxGain)},
		{"streaming.backpressure.pid.integral", "gain on the scheduling delay (0.2)", notNegative(func(c *conf) *float64 { return &c.pid.integral }, maxGain)},
		{"streaming.backpressure.pid.derived", "gain on the error's change (0.0)", notNegative(func(c *conf) *float64 { return &c.pid.derivative }, maxGain)},
		{"streaming.backpressure.pid.minRate", "lowest estimate, records/s (100)", positive(func(c *conf) *float64 { return &c.pid.minRate }, maxRate)},
		{"streaming.maxPendingBatches", "batches planned ahead of the one that runs (4)", count(func(c *conf) *int { return &c.maxPending }, maxPending)},
		{"streaming.stopGracefullyOnShutdown", "finish what is planned on the first interrupt (true)", boolean(func(c *conf) *bool { return &c.stopGracefully })},
		{"driver.maxResultSize", "bytes that one output may bring to the driver (268435456)", count(func(c *conf) *int { return &c.maxResultSize }, maxResult)},
		{"task.maxFailures", "failures of one task that fail the job (4)", count(func(c *conf) *int { return &c.maxTaskFailures }, maxTries)},
		{"stage.maxConsecutiveAttempts", "attempts of one stage that fail the job (4)", count(func(c *conf) *int { return &c.maxStageTries }, maxTries)},
		{"streaming.kafka.maxRatePerPartition", "records/s of one Kafka partition at most (no limit)", connector("streaming.kafka.maxRatePerPartition")},
		{"streaming.kafka.minRatePerPartition", "records of one Kafka partition and batch at least (1)", connector("streaming.kafka.minRatePerPartition")},
		{"locality.wait", "how long a task waits for the executor it ran on last (20ms)", duration(func(c *conf) *time.Duration { return &c.localityWait }, maxWait)},
		{"models.store", "URL or directory of the models' versions (below --checkpoint, else a temporary directory; a cluster needs one)", address(func(c *conf) *string { return &c.modelStore })},
		{"models.retained", "earlier versions of each model that are kept for a rollback (5)", count(func(c *conf) *int { return &c.modelsRetained }, maxRetained)},
	}
}

// Upper bounds of settings: what is above is a slip, would take the memory, or
// overflow.
const (
	maxRate     = 1e9  // records/s
	maxGain     = 1000 // of the PID's
	maxPending  = 10_000
	maxResult   = min(1<<40, math.MaxInt/2) // bytes
	maxTries    = 1000
	maxRetained = 10_000
	maxWait     = time.Hour
)

// printSettings writes the settings for people.
func printSettings(w io.Writer) {
	fmt.Fprint(w, "Settings (--conf key=value, defaults in brackets):\n")
	for _, s := range settings() {
		fmt.Fprintf(w, "  %-44s %s\n", s.key, s.help)
	}
}

// set applies one key=value.
func (c *conf) set(pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if !ok {
		return errors.New("it is not key=value; --conf help lists the settings")
	}
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return fmt.Errorf("unknown setting %q; --conf help lists the settings", key)
	}
	return all[i].set(c, value)
}

// setter parses a setting's value.
type setter func(c *conf, value string) error

func boolean(field func(*conf) *bool) setter {
	return func(c *conf, s string) (err error) {
		if *field(c), err = strconv.ParseBool(s); err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		return nil
	}
}

func positive(field func(*conf) *float64, most float64) setter {
	return func(c *conf, s string) error {
		v, err := number(s)
		if *field(c) = v; err == nil && v <= 0 {
			err = fmt.Errorf("%s is not above 0", s)
		}
		return cmp.Or(err, above(v, most))
	}
}

func notNegative(field func(*conf) *float64, most float64) setter {
	return func(c *conf, s string) error {
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

func count(field func(*conf) *int, most int) setter {
	return func(c *conf, s string) error {
		v, err := strconv.Atoi(s)
		if errors.Is(err, strconv.ErrRange) && v > 0 {
			return tooLarge(s, most)
		}
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		if *field(c) = v; v < 1 {
			return fmt.Errorf("%s is below 1", s)
		}
		return above(v, most)
	}
}

func duration(field func(*conf) *time.Duration, most time.Duration) setter {
	return func(c *conf, s string) error {
		v, err := parseDuration(s)
		if *field(c) = v; err == nil && v < 0 {
			err = fmt.Errorf("%s is negative", s)
		}
		return cmp.Or(err, above(v, most))
	}
}

// parseDuration is time.ParseDuration with an error that helps.
func parseDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration, which has a unit, e.g. 500ms or 2s", s)
	}
	return v, nil
}

func address(field func(*conf) *string) setter {
	return func(c *conf, s string) (err error) {
		*field(c), err = modelstore.Address(s)
		return err
	}
}

// connector keeps a number for a connector, which reads it with Setting.
func connector(key string) setter {
	return func(c *conf, s string) error {
		v, err := number(s)
		if err == nil && v < 0 {
			err = fmt.Errorf("%s is negative", s)
		}
		c.other[key] = s
		return cmp.Or(err, above(v, maxRate))
	}
}
