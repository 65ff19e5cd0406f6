// Package files makes streams of the files that appear in a directory or a bucket: of their
// lines ([TextFileStream]), of records of one length ([BinaryRecordsStream]), or of what a
// function makes of a whole file ([FileStream]).
//
// A directory is a path, or the URL of a bucket whose driver the program has (a blank import
// of e.g. gocloud.dev/blob/s3blob), which every process of the job reaches. The driver looks
// into it once a second ([Every]), and at the next batch, which with --asap comes when a look
// has found files that are whole, takes the files that it didn't know, the oldest by
// modification time first. Which these are is part of the batch's allocation: after a restart,
// or when another driver takes over, the batch reads the same files again, and the next one goes
// on behind them. Executors read the files themselves.
//
// What counts as a file to read:
//
//   - Its name doesn't begin with a point or _ and doesn't end in .tmp, ._COPYING_, .inprogress
//     or .filepart; with [Matching] it has to match a pattern. It isn't empty: an empty file is
//     awaited until it has something in it.
//   - It is whole. In a directory of the file system a file is taken when its size and its
//     modification time were the same in two looks, so that one which is being written waits.
//     A writer that pauses for longer than that should write under another name, or elsewhere
//     in the same file system, and rename the file when it is done: what is renamed into the
//     directory is taken once. Files of a bucket are whole when they are there. A directory
//     written by engine.SaveAsTextFiles and its kind is read when it is finished.
//   - It wasn't read. A file is known by its name: one that is changed or replaced after it was
//     planned isn't read again, and the log says so. When the driver has seen that it is gone, a
//     file of that name and another modification time is a new one.
//
// What the allocations remember is bounded: the names, hashed, of the 1,000 files read that
// were modified last ([Remember]). A directory that holds more that were read may stay as it is:
// an unknown file that was modified before all of these then counts as read. One that came so
// late, renamed with an old modification time, isn't read, and the log says so: touch it, and
// it is. So are files that were read and are no longer remembered, if they are touched or restored
// without their times. An object uploaded to S3 in parts has the time at which the upload began.
//
// A look asks the file system for the size and time of each file, and the batch waits for it: for
// some seconds at a hundred thousand files, or on a slow network file system. Raise [Every] then,
// and move files that were read elsewhere. A link that leads nowhere is passed over, and the log
// says so.
//
// A file that goes before it was planned is forgotten; one that goes after that, and before it
// was read, fails the batch with its name: the batch can be read when it is back. So files stay
// until their batch is complete, and for as long as windows and states reach back to it. A file
// that is damaged fails the batch, too, at each start anew. With [OnBadFile] what can't be read
// of a file is left out and counted.
//
// How many records a file of lines holds isn't known before it is read. For the rate, the
// backlog and what status shows, 100 bytes count as a record, and a batch holds whole files:
// at least one, and at most 1,000 ([MaxFiles]).
package files
