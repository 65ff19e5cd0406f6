package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// built returns a program in which connectors declared the given settings.
func built(t *testing.T, given map[string]string, declared ...string) *Program {
	t.Helper()
	p := &Program{Settings: DefaultSettings()}
	for key, value := range given {
		if err := p.Settings.Set(key + "=" + value); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range declared {
		if _, err := p.DeclareSetting(key, "help"); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// A key that nobody declared is refused with the key that was meant, if one is near.
func TestUnknownSettings(t *testing.T) {
	declared := []string{"streaming.tape.maxRatePerReel", "streaming.tape.maxBytes"}
	for key, want := range map[string]string{
		"streaming.tape.maxRatePerReel":       "known",
		"streaming.tape.maxRate":              "streaming.tape.maxRatePerReel", // maxBytes is as near by letters
		"streaming.tape.MAXRATEPERREEL":       "streaming.tape.maxRatePerReel",
		"streaming.tape.maxByte":              "streaming.tape.maxBytes",
		"spark.streaming.tape.maxBytes":       "streaming.tape.maxBytes",
		"task.maxFailure":                     "task.maxFailures",
		"streaming.backpressure.enable":       "streaming.backpressure.enabled",
		"streaming.backpressure.pid.integral": "known",
		"no.such":                             "",
		"x":                                   "",
	} {
		err := built(t, map[string]string{key: "1"}, declared...).UnknownSettings()
		if want == "known" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), `--conf `+key+`=1: unknown setting "`+key+`"`) || !strings.Contains(err.Error(), "--conf help lists") {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if _, meant, _ := strings.Cut(err.Error(), "did you mean "); want != "" && !strings.HasPrefix(meant, `"`+want+`"`) || want == "" && meant != "" {
			t.Errorf("%s is taken for %s, want %q", key, meant, want)
		}
	}
	err := built(t, map[string]string{"a": "1", "b": "2"}).UnknownSettings()
	if err == nil || strings.Count(err.Error(), "unknown setting") != 2 {
		t.Errorf("two unknown settings: %v", err)
	}
}

// A key is one connector's.
func TestDeclaredTwice(t *testing.T) {
	p := built(t, nil, "tape.speed", "tape.speed")
	for key, says := range map[string]string{
		"tape.speed":       `another connector has declared "tape.speed", as "help"`,
		"task.maxFailures": "is a setting of the engine",
		"":                 "can't be the key",
		"a=b":              "can't be the key",
	} {
		if _, err := p.DeclareSetting(key, "something else"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// Processes that were given different values have different fingerprints, but a
// checkpoint fits a program with others.
func TestSettingsAreCompared(t *testing.T) {
	of := func(given map[string]string) *Graph { return &built(t, given, "a.speed", "b.speed").Graph }
	one, other, none := of(map[string]string{"a.speed": "1"}), of(map[string]string{"a.speed": "2"}), of(nil)
	if one.Fingerprint() != of(map[string]string{"a.speed": "1"}).Fingerprint() {
		t.Error("one program has two fingerprints")
	}
	for _, g := range []*Graph{other, none} {
		if one.Fingerprint() == g.Fingerprint() {
			t.Errorf("%q and %q have one fingerprint", one.Describe(), g.Describe())
		}
		if !slices.Equal(Shape(one.Describe()), Shape(g.Describe())) {
			t.Errorf("%q and %q have different shapes", one.Describe(), g.Describe())
		}
	}
}
