package nn

import (
	"runtime"
	"testing"
)

// TestUserCode: what an error can name as its place is code of the user's, in whatever
// module, and no start of a goroutine.
func TestUserCode(t *testing.T) {
	for function, want := range map[string]bool{
		"":                               false,
		"runtime.goexit":                 false,
		"runtime.gopanic":                false,
		"sync.(*WaitGroup).Go.func1":     false,
		modulePrefix + "ml/nn.Apply":     false,
		modulePrefix + "examples/x.main": true,
		"main.main":                      true,
		"sync.example/nets.Train":        true,
		"runtime.example/nets.Train":     true,
	} {
		if got := user(runtime.Frame{Function: function, File: "/x/net.go"}); got != want {
			t.Errorf("%q is user code: %t, want %t", function, got, want)
		}
	}
}
