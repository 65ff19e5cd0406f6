package feed

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// Flags with which nothing would come are refused, with what to write instead.
func TestCheck(t *testing.T) {
	fine := errors.New("the flags are fine")
	for _, c := range []struct {
		rate  float64
		count int
		args  string
		says  string
	}{
		{1, 10, "", fine.Error()},
		{1, 0, "", fine.Error()},
		{1, -1, "--brokers 127.0.0.1:1", fine.Error()},
		{1, -1, "--brokers 127.0.0.1:1 --until-end", fine.Error()},
		{0, 10, "", "wrong use: --rate 0: it takes a number above 0, up to 1e+09"},
		{-1, 10, "", "--rate -1"},
		{math.NaN(), 10, "", "--rate NaN"},
		{math.Inf(1), 10, "", "--rate +Inf"},
		{1, -1, "", "wrong use: with --things -1 nothing is written, and the broker in this process has nothing to read: give --brokers HOST:PORT"},
		{1, 10, "--until-end", "--things 10 is written later: read what is there with --things -1 --brokers HOST:PORT"},
		{1, 0, "--until-end --brokers 127.0.0.1:1", "--things 0 is written later"},
	} {
		f := Feed{Topic: "things", Rate: c.rate, Count: c.count, Flag: "things"}
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			if err := f.Check(ssc); err != nil {
				return err
			}
			return fine
		}, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, engine.ErrUsage) == errors.Is(err, fine) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
