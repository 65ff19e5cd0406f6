package executor

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// taskCall is a task that runs in this process.
type taskCall struct {
	node *lineage.Node // the last operator that it computes
	id   scheduler.TaskID
}

// String names the task by its operator.
func (t taskCall) String() string {
	return fmt.Sprintf("a task of %s at %s (%s)", t.node.Op, t.node.Site, t.id)
}
