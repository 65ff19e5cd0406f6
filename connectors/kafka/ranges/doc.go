// Package ranges reads exact offset ranges [From, Until) of Kafka partitions
// and plans them.
//
// A [Reader] belongs to an executor process. It sends Fetch requests of its own
// through franz-go's client (no consumer, no group) and walks
// the record batches where they lie in the response: the checksum of each batch
// is verified, the batch is decompressed if need be, and every record of the
// range is handed out once, in offset order. With read_committed, the default,
// records of aborted transactions are left out. Control records never show.
//
// A [Planner] belongs to the driver. It says which partitions topics have and
// up to which offset each can be read now; one ListOffsets round trip a batch, or a long poll in a
// fetch session ([Planner.Watch]).
//
// # How a range ends
//
// A range ends when its next offset has reached Until. Compaction, transaction
// markers and aborted transactions leave gaps, also at the very end, so no
// record need have the offset Until-1. Batch headers keep their last offset
// when compaction thins or empties a batch, and that is what the reader advances
// by. Where no batch at all is left, the gap is proven by an answer that is
// empty although no size limit cut it off and the log is readable up to Until.
//
// # What keeps memory bounded
//
// Of each open range at most one chunk is being walked, one waits and one is in
// flight; a chunk is about Options.PartitionBytes. What is prefetched of ranges and not read yet,
// what a Reader that is alone reads ahead of partitions with much more than what is planned,
// and what a response held beyond a range's end, or polls have read ahead
// ([Planner.Watch]), share Options.BufferBytes. Ranges are prefetched up to three quarters of it and
// wait for room then; what they begin with of leftovers may be more. Of leftovers the oldest goes
// first. A batch that is larger than what was asked for comes nevertheless, also over
// Options.BufferBytes. The caller forgets what isn't read ([Reader.Forget]): else it takes up room
// until Close, as does what was read ahead of a partition that nobody reads any more. Counted are parts of responses. What is prefetched
// keeps its whole response alive, of up to Options.RequestBytes as a rule, until its batch is read;
// a leftover, or what polls have read ahead, at most eight times its own bytes, or 256 KiB. What
// polls have read ahead of a partition, up to 16 answers, waits in one piece at the beginning of a
// range. Response buffers are never
// recycled, because keys and values alias them: a value that is kept keeps its
// whole response alive, so clone what outlives the batch ([Record.Clone]).
//
// # What happens when Kafka misbehaves
//
// A moved leader, a stale or a newer epoch, a lost connection or a broker that
// is gone are waited out: the reader asks for the leaders again, says once in
// the log that it waits and once that it goes on. What was kept of an earlier leader's
// answers is fetched again from the one by which a range was planned. Everything that cannot heal
// is an error that names topic, partition and offset: [LostError], [EndError],
// [TopicError], [CorruptError].
package ranges
