package plan

import "fmt"

// Invocation is what executors are sent of a batch: what it is made of, and a
// hash of what it must become.
type Invocation struct {
	Allocation *Allocation `msgpack:"a"`
	Lineage    uint64      `msgpack:"l"` // hash of the lineage that the driver generated
}

// Check makes sure that an invocation of a batch is whole and of a known format.
func (inv *Invocation) Check(seq uint64) error {
	a := inv.Allocation
	switch {
	case a == nil || a.Seq != seq:
		return fmt.Errorf("the invocation of batch %d holds no allocation of it", seq)
	case a.Format != AllocationFormat:
		return fmt.Errorf("%w: batch allocation of format %d, this program knows %d", ErrFormat, a.Format, AllocationFormat)
	}
	return nil
}
