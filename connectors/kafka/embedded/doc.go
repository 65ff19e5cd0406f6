// Package embedded runs a Kafka broker inside this process, for examples and for
// trying things out without a service: franz-go's kfake, with its memory bounded.
//
// It speaks Kafka's protocol on loopback and keeps everything in memory. What it
// does not do is survive its process.
//
// # Memory
//
// kfake keeps a partition's log in segments and gives memory back when all of a
// segment is before the log start. Left alone it does so after a week. So the
// broker makes small segments, and a trimmer that it owns applies retention every
// Options.TrimInterval: each partition keeps its last Options.RetentionBytes,
// consumed or not, as a Kafka topic does. [Broker.Trim] gives back more, as soon
// as the caller knows what has been consumed. The bound is
//
//	partitions × (RetentionBytes + SegmentBytes + what arrives in a TrimInterval)
package embedded
