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
}

// ID returns the name of what the attempt that counts for a map partition wrote.
func (o *Outputs) ID(m int) MapID {
	return MapID{Batch: o.Batch, Shuffle: o.Shuffle, Map: int32(m), Attempt: o.Maps[m].Attempt}
}
