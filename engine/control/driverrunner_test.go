package control

import (
	"errors"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/process"
)

// What the end of a job's driver process says.
func TestEndOfDriverProcess(t *testing.T) {
	tests := []struct {
		name     string
		exit     process.Exit
		attached bool
		noJob    bool
		says     string
	}{
		{"no job", process.Exit{Status: "exit status 0", Clean: true}, false, true, "ended before it became a job: does its main run"},
		{"no job, for ever", process.Exit{Status: "signal: killed", Hung: true}, false, true, "didn't become a job within 1m0s: does its main run"},
		{"not yet a job", process.Exit{Status: "exit status 2", LastWords: "panic: no"}, false, false, "ended with exit status 2; the last it wrote:\npanic: no"},
		{"a job that hangs", process.Exit{Status: "signal: killed", Hung: true}, true, false, "because it didn't answer"},
		{"a job that gave up its place", process.Exit{Status: "exit status 0", Clean: true}, true, false, "ended with exit status 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := endOf(tt.exit, tt.attached)
			if errors.Is(err, errNoJob) != tt.noJob || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("it says %v", err)
			}
		})
	}
}
