package plan

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/cli"
)

// ConnectorSetting is a setting that a connector declared.
type ConnectorSetting struct {
	Key, Help string
	Value     string // as it was given
	Given     bool
}

// describe returns the setting's line in a graph's description.
func (s *ConnectorSetting) describe() string {
	return fmt.Sprintf("%s%s=%q", settingLine, s.Key, s.Value)
}

// settingLine begins a line of a graph's description that isn't part of its shape:
// a job that goes on may have another setting.
const settingLine = "setting: "

// DeclareSetting declares a connector's setting. It may be declared again, in the
// same words.
func (p *Program) DeclareSetting(key, help string) (*ConnectorSetting, error) {
	for _, s := range settings() {
		if s.key == key {
			return nil, fmt.Errorf("%q is a setting of the engine; give the connector's another key", key)
		}
	}
	known := p.Graph.Settings[key]
	switch {
	case key == "" || strings.Contains(key, "="):
		return nil, fmt.Errorf("%q can't be the key of --conf key=value", key)
	case known == nil:
		value, given := p.Settings.Other[key]
		known = &ConnectorSetting{Key: key, Help: help, Value: value, Given: given}
		if p.Graph.Settings == nil {
			p.Graph.Settings = make(map[string]*ConnectorSetting)
		}
		p.Graph.Settings[key] = known
	case known.Help != help:
		return nil, fmt.Errorf("another connector has declared %q, as %q; two settings can't have one key", key, known.Help)
	}
	return known, nil
}

// PrintSettings writes the settings for people that connectors have declared.
func (p *Program) PrintSettings(w io.Writer) {
	if len(p.Graph.Settings) == 0 {
		return
	}
	fmt.Fprint(w, "Settings of the program's connectors:\n")
	for _, key := range slices.Sorted(maps.Keys(p.Graph.Settings)) {
		printSetting(w, key, p.Graph.Settings[key].Help)
	}
}

// UnknownSettings returns an error for the --conf keys that are neither the
// engine's nor of a connector that the program uses. The program has been built
// without an error. Only the driver asks: what is wrong is said once.
func (p *Program) UnknownSettings() error {
	known := slices.Collect(maps.Keys(p.Graph.Settings))
	for _, s := range settings() {
		known = append(known, s.key)
	}
	slices.Sort(known)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(p.Settings.Other)) {
		if p.Graph.Settings[key] == nil {
			errs = append(errs, fmt.Errorf("%w: --conf %s=%s: unknown setting %q%s; %s", ErrUsage, key, p.Settings.Other[key], key, suggestion(key, known), whereListed))
		}
	}
	return errors.Join(errs...)
}

// UndeclaredSettings is UnknownSettings for a batch program that comes to its first action:
// a slip is to be seen before the program has worked for hours.
func (p *Program) UndeclaredSettings() error {
	if err := p.UnknownSettings(); err != nil {
		return fmt.Errorf("%w; if it is for a source that the program makes later, the program must declare the connector's settings before (see the connector's documentation)", err)
	}
	return nil
}

// maxMisspelled is how many letters a misspelled key has wrong at most.
const maxMisspelled = 2

// MisspelledSettings returns an error for the --conf keys that can only be meant for the
// engine's: what may be a connector's is known when a batch program comes to its first action.
func (p *Program) MisspelledSettings() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(p.Settings.Other)) {
		for _, s := range settings() {
			if cli.Slip(key, s.key) <= maxMisspelled {
				errs = append(errs, fmt.Errorf("%w: --conf %s=%s: unknown setting %q (did you mean %q?); %s", ErrUsage, key, p.Settings.Other[key], key, s.key, whereListed))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// whereListed says how to see all settings.
const whereListed = "--conf help lists those of the engine and of the program's connectors"

// suggestion names the known key that is nearest, unless none is near.
func suggestion(key string, known []string) string {
	if nearest := cli.Nearest(key, known); nearest != "" {
		return fmt.Sprintf(" (did you mean %q?)", nearest)
	}
	return ""
}
