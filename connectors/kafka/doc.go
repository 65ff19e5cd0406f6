// Package kafka connects streams and batch programs to Apache Kafka.
//
// [Direct] reads topics, those of a pattern, or single partitions: the driver plans
// offset ranges, which are part of each batch's allocation, and executors read exactly
// those (Spark's DirectKafkaInputDStream). Offsets are the engine's own: no consumer
// group decides what is read, though a job may begin where one has ended ([AtGroup]),
// and tell one how far it has come ([MirrorOffsets]). [Sink] writes a stream's elements
// to a topic.
//
// [Range] gives a batch program the records from one position until another.
//
// Where a stream is given no --brokers, an embedded broker is started in the
// driver's process, so that it runs alone; see [Brokers].
//
// Delivery: reading is exact, a batch that is replayed reads the same records.
// The sink is idempotent within one attempt of a task; a batch that was in
// flight when a process died may be written twice, with the same batch number in
// the header "hibana-batch".
//
// Settings of programs, given as --conf key=value, with their defaults in brackets:
//
//	streaming.kafka.maxRatePerPartition: records/s of one partition at most, 0 for no limit (0)
//	streaming.kafka.minRatePerPartition: records of one partition and batch at least, within maxRatePerPartition (1)
//	streaming.kafka.maxBatchBytes: bytes that a record batch may take, also decompressed (100663296)
//	streaming.kafka.metadataMaxAge: for how long a topic or a partition that is new, or deleted, may go unnoticed by streams (5s)
//
// A batch program that uses the connector only after its first action, and is given one of
// them, calls [DeclareSettings] before.
package kafka
