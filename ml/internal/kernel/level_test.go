package kernel

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLevels(t *testing.T) {
	for _, l := range []Level{Portable, AVX2, AVX512} {
		got, err := ParseLevel(l.String())
		if err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l.String(), got, err)
		}
	}
	if _, err := ParseLevel("sse9"); err == nil {
		t.Error("an unknown level is accepted")
	}
	for _, c := range []struct {
		env        string
		best, want Level
	}{
		{"", AVX512, AVX512}, {"portable", AVX512, Portable}, {"avx2", AVX512, AVX2}, {"avx512", AVX2, AVX2}, {"nonsense", AVX2, AVX2},
	} {
		if got := chooseLevel(c.env, c.best); got != c.want {
			t.Errorf("with %s=%q on a processor with %s the level is %s, want %s", EnvCPU, c.env, c.best, got, c.want)
		}
	}
	if ActiveLevel() > BestLevel() {
		t.Errorf("level %s is active, the best one is %s", ActiveLevel(), BestLevel())
	}
}

func TestCheckEnv(t *testing.T) {
	for env, ok := range map[string]bool{"": true, "portable": true, "nonsense": false} {
		t.Setenv(EnvCPU, env)
		if err := CheckEnv(); (err == nil) != ok {
			t.Errorf("%s=%q: error is %v", EnvCPU, env, err)
		}
	}
	if BestLevel() < AVX512 {
		t.Setenv(EnvCPU, "avx512")
		if CheckEnv() == nil {
			t.Error("a level that the processor lacks is accepted")
		}
	}
}

func TestPeak(t *testing.T) {
	for _, l := range levels() {
		f, err := peak(t.Context(), l, time.Millisecond)
		if err != nil || f <= 0 {
			t.Errorf("%s: %v operations a second, error %v", l, f, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Peak(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling, the error is %v", err)
	}
}
