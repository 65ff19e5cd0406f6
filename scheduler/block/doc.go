// Package block keeps what an executor computed until it isn't needed any more:
// cached partitions and what map tasks wrote for reading tasks.
//
// A [Budget] says how many bytes of memory the process may hold. A [Store] holds
// blocks under it: when the budget is full the blocks that were used least
// recently are written to files, or dropped where they can be computed again. Those that
// all have read who were to, [Store.Spend], go first, and before the budget is full. A
// task has a [Task], by which it reserves memory for what it builds itself, sorters
// and tables of keys, and makes files for what doesn't fit.
//
// Files are in a directory of the process's own, made when the first is needed
// and removed by Close; what a killed process left behind goes when the next one
// makes its own. All they hold is in frames with checksums: damaged bytes are an
// error, [ErrCorrupt], never wrong data.
package block
