// Package engine is a micro-batch stream processor in the model of Spark
// Streaming: a [DStream] is one RDD for each batch interval.
//
// A program makes an [App], declares its streams in a build function and calls
// Stream. The build function declares and does nothing else: it runs in every
// process of the job, and once more in strict local mode, so that no function
// ever has to be sent anywhere. What has an effect stands in
// [StreamingContext.OnDriver], [StreamingContext.DriverTask] or an output; what
// must be the same everywhere comes from [Value] or [PerBatch].
//
// The driver plans a batch at each tick, or when there are records (--asap): every
// [Input] says which range it reads. The allocation is logged before anything is scheduled, and from
// it and the program alone the driver and the executors generate the same RDDs.
// DESIGN.md in this folder has the file map, the words and the invariants, and says where to
// look and where to add something; internal, remote, control, worker and security have pages of
// their own.
package engine
