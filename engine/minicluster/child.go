package minicluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Child returns the id of the one process that a daemon runs, as /proc has it: a job's, if
// there is one job.
func (c *Cluster) Child(id string) (int, error) {
	parent := c.PID(id)
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return 0, err
	}
	var children []string
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		children = append(children, strings.Fields(string(b))...)
	}
	if len(children) != 1 {
		return 0, fmt.Errorf("%s, process %d, has the children %v", id, parent, children)
	}
	return strconv.Atoi(children[0])
}
