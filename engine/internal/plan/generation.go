package plan

import "github.com/hibana-engine/hibana/rdd"

// Generation is the making of one batch's RDDs from its allocation.
type Generation struct {
	Alloc   *Allocation
	Lineage *rdd.Lineage
	Memo    map[int32]any // *rdd.RDD[T] by stream id
	Actions []rdd.Action
}
