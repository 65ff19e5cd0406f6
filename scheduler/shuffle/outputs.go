package shuffle

// MapID names what one attempt of a map task wrote.
type MapID struct {
	Batch   uint64 `msgpack:"b"`
	Shuffle int32  `msgpack:"s"`
	Map     int32  `msgpack:"m"` // partition of the map stage
	Attempt int32  `msgpack:"a"`
}

// Outputs says for one shuffle which attempt of each map task counts, where its
// blocks are and how large. It is complete and never changes.
type Outputs struct {
	Batch   uint64   `msgpack:"b"`
	Shuffle int32    `msgpack:"s"`
	Maps    []Output `msgpack:"m"` // by map partition
}

// Output is the place of one map task's blocks.
type Output struct {
	Executor string  `msgpack:"e"`
	Attempt  int32   `msgpack:"a"`
	Bytes    []int64 `msgpack:"z"` // size for each reduce partition
	// Small are all the blocks in the order of the reduce partitions, if they are few
	// bytes: then nobody has to ask the executor.
	Small []byte `msgpack:"d,omitempty"`
}

// Bounds of what goes through the driver: the blocks of one map task, and those of all
// map tasks that a reading task is told of.
const (
	maxSmall  = 8 << 10
	maxSmalls = 1 << 20
)

// Carried returns the blocks for a reduce partition, in one, if they came with the
// output.
func (o *Output) Carried(reduce int) (b []byte, ok bool) {
	if len(o.Small) == 0 || reduce < 0 || reduce >= len(o.Bytes) {
		return nil, false
	}
	var from int64
	for _, n := range o.Bytes[:reduce] {
		from += n
	}
	until := from + o.Bytes[reduce]
	return o.Small[from:until:until], true
}

// IsWhole reports whether blocks that came with the output are of the announced sizes.
func (o *Output) IsWhole() bool {
	left := int64(len(o.Small))
	for _, n := range o.Bytes {
		if n < 0 {
			return false
		}
		left -= n
	}
	return len(o.Small) == 0 || left == 0
}

// ID returns the name of what the attempt that counts for a map partition wrote.
func (o *Outputs) ID(m int) MapID {
	return MapID{Batch: o.Batch, Shuffle: o.Shuffle, Map: int32(m), Attempt: o.Maps[m].Attempt}
}
