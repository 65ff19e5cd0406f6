package engine

import (
	"fmt"
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
	other           map[string]string // settings of connectors, by their prefix
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
	set       func(c *conf, value string) error
}

// connectorPrefix begins the settings that connectors read by themselves.
const connectorPrefix = "streaming.kafka."

// settings lists what --conf takes.
func settings() []setting {
	return []setting{
		{"streaming.backpressure.enabled", "plan no more than can be processed in time (true)", boolean(func(c *conf) *bool { return &c.backpressure })},
		{"streaming.backpressure.initialRate", "records/s of an input before there is an estimate (100000)", positive(func(c *conf) *float64 { return &c.initialRate })},
		{"streaming.backpressure.pid.proportional", "gain on the error (1.0)", notNegative(func(c *conf) *float64 { return &c.pid.proportional })},
		{"streaming.backpressure.pid.integral", "gain on the scheduling delay (0.2)", notNegative(func(c *conf) *float64 { return &c.pid.integral })},
		{"streaming.backpressure.pid.derived", "gain on the error's change (0.0)", notNegative(func(c *conf) *float64 { return &c.pid.derivative })},
		{"streaming.backpressure.pid.minRate", "lowest estimate, records/s (100)", positive(func(c *conf) *float64 { return &c.pid.minRate })},
		{"streaming.maxPendingBatches", "batches planned ahead of the one that runs (4)", count(func(c *conf) *int { return &c.maxPending })},
		{"streaming.stopGracefullyOnShutdown", "finish what is planned on the first interrupt (true)", boolean(func(c *conf) *bool { return &c.stopGracefully })},
		{"driver.maxResultSize", "bytes that one output may bring to the driver (268435456)", count(func(c *conf) *int { return &c.maxResultSize })},
		{"task.maxFailures", "failures of one task that fail the job (4)", count(func(c *conf) *int { return &c.maxTaskFailures })},
		{"stage.maxConsecutiveAttempts", "attempts of one stage that fail the job (4)", count(func(c *conf) *int { return &c.maxStageTries })},
		{"locality.wait", "how long a task waits for the executor it ran on last (20ms)", duration(func(c *conf) *time.Duration { return &c.localityWait })},
		{"models.store", "URL or directory of the models' versions (below --checkpoint, else a temporary directory; a cluster needs one)", address(func(c *conf) *string { return &c.modelStore })},
		{"models.retained", "earlier versions of each model that are kept for a rollback (5)", count(func(c *conf) *int { return &c.modelsRetained })},
	}
}

// set applies one key=value.
func (c *conf) set(pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if !ok {
		return fmt.Errorf("%w: --conf takes key=value, not %q", ErrUsage, pair)
	}
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i >= 0 {
		if err := all[i].set(c, value); err != nil {
			return fmt.Errorf("%w: --conf %s: %w", ErrUsage, key, err)
		}
		return nil
	}
	if strings.HasPrefix(key, connectorPrefix) {
		c.other[key] = value
		return nil
	}
	var keys []string
	for _, s := range all {
		keys = append(keys, s.key)
	}
	return fmt.Errorf("%w: unknown setting %q; there are %s", ErrUsage, key, strings.Join(keys, ", "))
}

func boolean(field func(*conf) *bool) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		*field(c), err = strconv.ParseBool(s)
		return err
	}
}

func positive(field func(*conf) *float64) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		if *field(c), err = strconv.ParseFloat(s, 64); err == nil && !(*field(c) > 0) {
			err = fmt.Errorf("%s is not above 0", s)
		}
		return err
	}
}

func notNegative(field func(*conf) *float64) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		if *field(c), err = strconv.ParseFloat(s, 64); err == nil && !(*field(c) >= 0) {
			err = fmt.Errorf("%s is negative", s)
		}
		return err
	}
}

func count(field func(*conf) *int) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		if *field(c), err = strconv.Atoi(s); err == nil && *field(c) < 1 {
			err = fmt.Errorf("%s is below 1", s)
		}
		return err
	}
}

func duration(field func(*conf) *time.Duration) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		if *field(c), err = time.ParseDuration(s); err == nil && *field(c) < 0 {
			err = fmt.Errorf("%s is negative", s)
		}
		return err
	}
}

func address(field func(*conf) *string) func(*conf, string) error {
	return func(c *conf, s string) (err error) {
		*field(c), err = modelstore.Address(s)
		return err
	}
}
