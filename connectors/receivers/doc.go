// Package receivers makes streams of what is received from sources that keep nothing: lines
// from a socket ([SocketTextStream]), or what a function of yours receives ([Stream], Spark's
// custom receivers). What is received is appended to a log of segments on disk first; what a batch
// reads are offsets in that log, so a batch that runs again reads the same records.
//
// Without a URL for a [Directory], in local mode and on local-cluster, the receiver runs in the
// driver's process, and executors read its log from this machine's disk. With --checkpoint the
// log must be in a directory that is there after a restart: give Directory. What has been
// received and isn't in a batch yet is then read by the next run. Without, the log is a temporary
// one, and ends with the program.
//
// On a cluster give a Directory that all machines reach, those of the drivers and of the
// executors: the URL of a bucket, or a directory that they share. An executor runs the receiver,
// beside its tasks and without a slot, as a part of its copy of the program: what it does to
// variables the driver doesn't see, and StreamingContext.Stop does nothing there. When that
// executor is lost another one begins to receive, and so it is when the driver is. Each start
// writes a log of its own in the directory. What is stored at a time is a file of it, of more than
// 256 KiB several, one after the other; what comes while one is written is collected for the next
// one. So storing takes as long as a file takes to be written, and since a socket's lines come at
// 64 KiB a file at most, that is about 2 MB/s where a file takes 30 ms. The driver plans what is
// in all of the logs, so nothing is lost that was stored, even by an executor that didn't know yet
// that another one has taken its place: while that is so, for some seconds, two may receive. In
// local mode a URL may be given, too: the program's own process receives then.
//
// What can be lost:
//
//   - What is on its way to a process that dies: read from the socket and not yet stored, or
//     in the kernel's buffers. A socket's other end isn't told what has arrived. A receiver of
//     yours can acknowledge a message when store has returned.
//   - What comes while nothing listens: while the program is down, until another executor
//     receives or a cluster has started another driver, and from when a connection is lost until
//     there is a new one (tried at once, then after 100 ms, doubled up to 10 s). The stream is held
//     up while that is so, and says why.
//   - What was appended to a log on this machine since the last batch was planned, if the machine
//     crashes. A batch's records are on the disk before the batch is logged. What a crash left half
//     written at the log's end is cut off when the log is opened, and the log says so. Of a log
//     that machines share nothing is lost then.
//
// The log is bounded ([MaxBytes]). While it is full nothing more is read from the source, so a
// socket's other end has to wait. Segments are deleted when the batches that read them are
// complete, and no window or state reaches back to them. Files that can't be removed are more than
// that: it is tried again and again, and logged. A batch takes whole stretches of the log,
// of at least 64 KiB if there is as much, or whole files, 1,000 at most for each second of its
// interval up to a minute's: a lower rate isn't kept exactly. What was stored and isn't in a batch
// when the job ends stays in a Directory.
package receivers
