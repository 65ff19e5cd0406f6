package engine_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// speed is a setting as connectors have them.
var speed = engine.Setting[int64]{Key: "tape.speed", Help: "inches/s (7)", Default: 7, Parse: engine.WholeNumber(1, 30)}

// A connector's setting has the same value in the driver's copy and in the
// executor's, however often it is read.
func TestConnectorSetting(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int64
	}{
		{nil, 7},
		{[]string{"--conf", "tape.speed=15"}, 15},
		{[]string{"--conf", "tape.speed=15", "--conf", "tape.speed=3"}, 3}, // the last
	} {
		var read []int64
		var seen []string
		err := run(t, func(ssc *engine.StreamingContext) error {
			read = append(read, speed.Read(ssc), speed.Read(ssc))
			engine.ForEachBatch(numbers(ssc), stopAfter(ssc, 1, &seen))
			return nil
		}, c.args...)
		if want := slices.Repeat([]int64{c.want}, 4); err != nil || !slices.Equal(read, want) {
			t.Errorf("%q: %d, want %d; %v", c.args, read, want, err)
		}
	}
}

// A setting that is wrong ends the program after the build and before anything
// runs, as wrong use; what the build began is ended, and the error says it once.
func TestWrongConnectorSetting(t *testing.T) {
	for pair, says := range map[string]string{
		"tape.speed=31":         "setting at engine/settings_test.go:",
		"tape.speed=0":          "wrong use: --conf tape.speed=0 (inches/s (7)): 0 is below 1",
		"tape.speed=99":         "wrong use: --conf tape.speed=99 (inches/s (7)): 99 is too large, at most 30 goes",
		"tape.speed=fast":       `wrong use: --conf tape.speed=fast (inches/s (7)): "fast" is not a whole number`,
		"tape.sped=3":           `wrong use: --conf tape.sped=3: unknown setting "tape.sped" (did you mean "tape.speed"?); --conf help lists`,
		"task.maxFailure=1":     `did you mean "task.maxFailures"?`,
		"radio.frequency=100.6": `wrong use: --conf radio.frequency=100.6: unknown setting "radio.frequency"; --conf help lists`,
	} {
		var did []string
		err := run(t, func(ssc *engine.StreamingContext) error {
			did = append(did, "build")
			speed.Read(ssc)
			ssc.OnDriver(func(context.Context) error { did = append(did, "run"); return nil })
			ssc.OnStop(func(context.Context) error { did = append(did, "stop"); return nil })
			numbers(ssc).Print(1)
			return nil
		}, "--conf", pair)
		if !errors.Is(err, engine.ErrUsage) || strings.Count(err.Error(), "--conf "+pair) != 1 || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", pair, err, says)
		}
		if want := []string{"build", "stop"}; !slices.Equal(did, want) {
			t.Errorf("%s: it did %q, want %q", pair, did, want)
		}
	}
}

// A batch program comes to its first action only if something has declared what is given:
// before it has worked for hours.
func TestSettingsOfBatchPrograms(t *testing.T) {
	for _, c := range []struct {
		conf          string
		before, after bool // the action, the setting is read
		says          string
	}{
		{"tape.speed=3", true, false, ""},
		{"tape.speed=3", true, true, ""},
		{"tape.speed=3", false, true, `unknown setting "tape.speed"; --conf help lists`},
		{"tape.speed=99", true, false, "99 is too large"},
		{"tape.sped=3", true, true, `did you mean "tape.speed"?`},
		{"task.maxFailure=3", true, true, `did you mean "task.maxFailures"?`},
	} {
		ran := false
		err := runBatch(t, func(sc *rdd.Context) error {
			if c.before {
				speed.Read(engine.EnvironmentOf(sc))
			}
			_, err := rdd.Count(rdd.Parallelize(sc, []int{1}))
			if err == nil {
				ran = true
			}
			if c.after {
				speed.Read(engine.EnvironmentOf(sc))
			}
			return err
		}, "--conf", c.conf)
		switch {
		case c.says == "" && (err != nil || !ran):
			t.Errorf("%+v: %v", c, err)
		case c.says != "" && (!errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), c.says) || ran):
			t.Errorf("%+v: an action ran: %t; %v", c, ran, err)
		}
	}
}

// A program that can't be built says that alone: the settings that it would have
// declared aren't known.
func TestBuildErrorGoesBeforeUnknownSettings(t *testing.T) {
	err := run(t, func(*engine.StreamingContext) error { return errors.New("no tape") }, "--conf", "tape.speed=3")
	if !errors.Is(err, engine.ErrBuild) || errors.Is(err, engine.ErrUsage) || strings.Contains(err.Error(), "tape.speed") {
		t.Error(err)
	}
}

// A setting that can't be one is an error of the program.
func TestImpossibleSetting(t *testing.T) {
	for says, s := range map[string]engine.Setting[int64]{
		"no.parse: Parse: the function is nil":        {Key: "no.parse"},
		`"task.maxFailures" is a setting of the en`:   {Key: "task.maxFailures", Parse: speed.Parse},
		`another connector has declared "tape.speed"`: {Key: "tape.speed", Help: "words a minute", Parse: speed.Parse},
	} {
		err := run(t, func(ssc *engine.StreamingContext) error {
			speed.Read(ssc)
			s.Read(ssc)
			numbers(ssc).Print(1)
			return nil
		})
		if !errors.Is(err, engine.ErrBuild) || errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(numbers(ssc), func(engine.Batch, []int) error { speed.Read(ssc); return nil })
		return nil
	})
	if _, ok := errors.AsType[*lineage.FrozenError](err); !ok || !strings.Contains(err.Error(), "setting at engine/settings_test.go:") {
		t.Errorf("read in an output: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for value, says := range map[string]string{
		"0": "", "1.5": "", "2": "", "-0.1": "-0.1 is below 0", "2.1": "2.1 is too large, at most 2 goes",
		"NaN": `"NaN" is not a number`, "Inf": `"Inf" is not a number`, "": `"" is not a number`,
	} {
		if _, err := engine.Number(0, 2)(value); says == "" && err != nil || says != "" && (err == nil || err.Error() != says) {
			t.Errorf("%q: %v, want %s", value, err, says)
		}
	}
	for value, says := range map[string]string{
		"-1": "", "2": "", "-2": "-2 is below -1", "3": "3 is too large, at most 2 goes", "1.5": `"1.5" is not a whole number`,
		"99999999999999999999": "99999999999999999999 is too large, at most 2 goes", "-99999999999999999999": "-99999999999999999999 is below -1",
	} {
		if _, err := engine.WholeNumber(-1, 2)(value); says == "" && err != nil || says != "" && (err == nil || err.Error() != says) {
			t.Errorf("%q: %v, want %s", value, err, says)
		}
	}
	for value, says := range map[string]string{
		"1s": "", "2m": "", "999ms": "999ms is below 1s", "-1s": "-1s is below 1s", "121s": "2m1s is too large, at most 2m0s goes",
		"5": `"5" is not a duration, which has a unit, e.g. 500ms or 2s`,
	} {
		if _, err := engine.Duration(time.Second, 2*time.Minute)(value); says == "" && err != nil || says != "" && (err == nil || err.Error() != says) {
			t.Errorf("%q: %v, want %s", value, err, says)
		}
	}
}

// Executor processes read the values of the driver's process.
func TestConnectorSettingOnExecutorProcesses(t *testing.T) {
	r, err := enginetest.RunOnCluster(t, [][]int{{1, 2, 3}}, 1, func(d *engine.DStream[int]) *engine.DStream[int64] {
		v := speed.Read(d.Context())
		return engine.Map(d, func(i int) int64 { return v })
	}, "--conf", "tape.speed=15")
	if err != nil || len(r.Batches) != 1 || !slices.Equal(r.Batches[0], []int64{15, 15, 15}) {
		t.Errorf("%v, %v", r.Batches, err)
	}
}

// Executor processes that were started with another value are refused.
func TestOtherConnectorSettingOnExecutorProcesses(t *testing.T) {
	pair := "tape.speed=15"
	if os.Getenv(role.Env) == role.Executor {
		pair = "tape.speed=16"
	}
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		speed.Read(ssc)
		numbers(ssc).Print(1)
		return nil
	}, "--conf", pair)
	if !errors.Is(err, engine.ErrDiverged) || !strings.Contains(err.Error(), `tape.speed="15"`) || !strings.Contains(err.Error(), `tape.speed="16"`) {
		t.Error(err)
	}
}

// The driver's process says what is wrong, and the executors' don't say it again.
func TestWrongConnectorSettingOnExecutorProcesses(t *testing.T) {
	executor := os.Getenv(role.Env) == role.Executor
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		if executor {
			panic("an executor builds what the driver has refused")
		}
		numbers(ssc).Print(1)
		return nil
	}, "--conf", "tape.speed=15")
	if !errors.Is(err, engine.ErrUsage) || strings.Count(err.Error(), "tape.speed=15") != 1 {
		t.Error(err)
	}
}
