package plan

import (
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Generation is the making of one batch's RDDs from its allocation.
type Generation struct {
	Alloc   *Allocation
	RDDs    *rdd.Context     // in which they are made
	Lineage *lineage.Lineage // that of RDDs
	Memo    map[int32]any    // *rdd.RDD[T] by stream id
	Actions []lineage.Action
}
