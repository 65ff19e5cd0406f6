// Package receivers makes streams of what is received from sources that keep nothing: lines
// from a socket ([SocketTextStream]), or what a function of yours receives ([Stream], Spark's
// custom receivers). What is received is appended to a log of segments on disk first; what a batch
// reads are offsets in that log, so a batch that runs again reads the same records.
//
// The receiver runs in the driver's process, and executors read its log from the disk: in
// local mode and on local-cluster, that is on one machine. On a cluster the program ends
// with an error that says so: there, have what you receive written to Kafka.
//
// With --checkpoint the log must be in a directory that is there after a restart: give
// [Directory]. What has been received and isn't in a batch yet is then read by the next run.
// Without, the log is a temporary one, and ends with the program.
//
// What can be lost:
//
//   - What is on its way to a process that dies: read from the socket and not yet appended, or
//     in the kernel's buffers. A socket's other end isn't told what has arrived. A receiver of
//     yours can acknowledge a message when store has returned.
//   - What comes while nothing listens: while the program is down, and from when a connection is
//     lost until there is a new one (tried at once, then after 100 ms, doubled up to 10 s). The
//     stream is held up while that is so, and says why.
//   - What was appended since the last batch was planned, if the machine crashes. A batch's records
//     are on the disk before the batch is logged. What a crash left half written at the log's
//     end is cut off when the log is opened, and the log says so.
//
// The log is bounded ([MaxBytes]). While it is full nothing more is read from the source, so a
// socket's other end has to wait. Segments are deleted when the batches that read them are
// complete, and no window or state reaches back to them. A batch takes whole stretches of the log,
// of at least 64 KiB if there is as much: a lower rate isn't kept exactly.
package receivers
