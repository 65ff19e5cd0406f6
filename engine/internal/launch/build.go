package launch

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// slowBuild is how long the build function may run before the job's status and the
// process's log say so.
const slowBuild = time.Minute

// errBuildHangs: the build function doesn't return.
var errBuildHangs = errors.New("the build function hasn't returned")

// watchBuild says that the build function of the driver's copy takes long, and ends the
// process when it takes too long. It returns what to call when it has returned.
func (j *Job) watchBuild() (returned func()) {
	limit := j.Settings.BuildTimeout
	quiet := j.troubles.After("build", slowBuild, func(since time.Duration) string {
		return fmt.Sprintf("the build function has run for %s; the job fails after %s", since.Round(time.Second), limit)
	})
	slow := time.AfterFunc(slowBuild, func() {
		j.Log.Warn("the build function hasn't returned yet", "after", slowBuild, "fails_after", limit)
	})
	over := time.AfterFunc(limit, func() {
		if j.farewell != nil {
			_, _ = fmt.Fprintf(j.Stdout, "the goroutines of this process, whose build function doesn't return:\n%s\n", stacks())
		}
		j.farewell.begin(fmt.Errorf("%w for %s, which --conf driver.buildTimeout changes; the process's log shows where it stands", errBuildHangs, limit), 0)
	})
	return func() { quiet(); slow.Stop(); over.Stop() }
}

// maxStacks bounds what is said of goroutines, in bytes.
const maxStacks = 64 << 10

// stacks returns where the goroutines of the process stand.
func stacks() []byte {
	b := make([]byte, maxStacks)
	return b[:runtime.Stack(b, true)]
}
