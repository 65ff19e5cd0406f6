package main

import "strings"

// how says how a workload is measured, for its help.
func how(workload string) string {
	texts := map[string]string{
		"count": `
The topic is filled once. In each round a raw fetch loop, a bare franz-go loop and then the engine read all of it; the clock
runs from the start of each, connections included, until its last record is counted. The raw loop sends requests of its own
and steps through the bytes that come, without making records of them: two workers, each with a connection to each broker,
2 MiB a partition in a request, the next answer on its way meanwhile. Rates are medians of the rounds, the ratios are the
engine's rate by that of the franz-go loop, and by that of the raw one, in the same round. The --warm-ups rounds before them
don't count. With --record-bytes 784 records are as large as an image of MNIST: what a client reads is the bound then, for
the loops and for the engine. The peak RSS is of the one process in which all three run.`,
		"latency": `
A producer writes records at a fixed rate, each with the time at which it was due, and a consumer reads what a job made of
them: latency is from when a record was due until the consumer has it, so what waits behind a stall counts in full. The job
runs in a process of its own. Rounds are the loop and the engine in turn; figures are medians of the rounds' quantiles.
With --master cluster the engine runs on 3 engine-drivers and 2 engine-executors of one slot, which are started anew in
each round; its CPU is that of all their processes, its memory that of the largest.`,
		"realtime": `
The queries are those that Spark's repository measures its real-time mode with (RTMKafkaKafkaBenchmark and its stateful
kin): 1,000 records a second over 5 partitions of Kafka, through a query, to 5 partitions of Kafka again.
  stateless      the value in base64
  deduplication  every fifth record has the key of the one before and is dropped
  window         a running count of each of 1,000 keys in each minute, an update for each record
  state          a number of each of 50,000 keys, which are all there at the start, is read and changed for each record
Latency is from when a record is due until a consumer has what came of it. Each run is a process of its own, on topics of
its own; what comes in the first seconds doesn't count. Figures are medians of the rounds' quantiles, with the least and
the most.
Spark 4.2 runs the stateless query here too, with the settings of its benchmark, but without its observe() and header, and
in one process, not 3 executors, where there are Java and Maven and a real Kafka (--brokers): it is built from
bench/spark-realtime, and fetched from Maven Central the first time. It refuses the stateful queries. Its published figures
stand beside as such: they are those of its own machine, and end when a record is handed to the producer, not when a
consumer has it.`,
		"wordcount": `
The topic is filled once. In each round a franz-go loop and then the engine read all lines, split them and count each
word; both counts must be the same. Rates are lines a second, medians of the rounds; the ratio is that of a round. The
--warm-ups rounds before them don't count.`,
		"fold": `
The topic is filled once. In each round a franz-go loop with maps and then the engine, with a state that goes over all
batches, read all records and count them by key; both counts must be the same. The
--warm-ups rounds before them don't count.`,
		"window": `
A topic holds more than the run reads; each batch reads as many records as an interval brings at the rate, and adds up a
window that slides by key. Measured is the processing time of each batch after those that warm up.`,
		"state": `
A topic holds more than the run reads; each batch changes as many keys of a large state as an interval brings records.
Measured is the processing time of each batch after those that warm up, and apart from each other that of batches during
which a checkpoint was written, and of the others.`,
		"sort": `
The records are made in the program, 100 bytes each, and sorted; the order is checked. The clock runs from the program's
start to its result. bench/spark has the same for Spark.`,
		"join": `
The pairs are made in the program, moved by their keys and joined. The clock runs from the program's start to its result.
bench/spark has the same for Spark.`,
		"group": `
The pairs are made in the program and all values of a key are brought together; with little memory they go to disk. The
clock runs from the program's start to its result. bench/spark has the same for Spark.`,
		"lines": `
A file is written once and is in the page cache then. In each round wc -l and the engine count its lines; both must find
as many. The ratio is wc's time by the engine's. With --master local-cluster the engine's time has the start of its
executors' processes in it, and its memory is the driver's alone.`,
		"pagerank": `
A graph is made in the program; each iteration moves a node's rank along its links. A loop over slices on one core does
the same in the same process; both must agree. bench/spark has the same for Spark.`,
		"kmeans": `
Points are made in the program and cached; each iteration finds the nearest centre of each. A loop over slices on one core
does the same in the same process; both must agree. bench/spark has the same for Spark.`,
		"overhead": `
One record comes in each interval. Measured are the batches' processing times, and the times from their tick until they
are complete, planning and log included. It is an error if the interval doesn't hold.`,
		"tasks": `
Stages of tasks that do nothing run one after the other in one program. Measured are tasks a second, and the CPU time
that a task takes on the driver and on executors.`,
		"failover": `
A cluster of daemons runs a job whose batches are noted with their times. A process is killed at a random time; measured
is the time from then until a batch is complete that was planned afterwards.`,
		"mnist": `
The topic is filled with images once. In each round the compiled network alone, on as many cores, and then the engine
recognise all of them, the latter from Kafka to Kafka. Rates are medians of the rounds; one round warms up.`,
		"paper": `
Each cell of the grid, of partitions, consumers and scenarios, is measured with bare Kafka clients and with the engine in
turn; repetitions are outermost, and those that warm up don't count. Figures are medians with their spread. It goes on
where it stopped.`,
		"compare": `
  count      all lines of a topic are read and counted
  wordcount  they are split into words, and each word is counted
  copy       records come at a rate and are written to another topic; latency is from when a record is due until a consumer
             has the copy
In each round each system does it, one after the other on the same brokers, in a process of its own; but in count and
wordcount the loop shares the engine's process. There each reads the topic twice in its process, and the second time
counts: all are warm, the JVM has compiled what it runs. A clock runs from the start of the stream, which is that of the
engine, of Spark's context, of Kafka Streams, or the loop's connecting, until all is counted. The engine plans a batch each
20 ms, as in engine-bench count, and as much as its backpressure lets it; Spark each 200 ms, with no limit, so that its
first batch has all; Kafka Streams and the loop have no batches. All have two threads or slots. In Kafka Streams' wordcount
all words go through a repartition topic, which is made within its clock; its store has no changelog, as the engine writes none.
In copy Spark's real-time mode runs at local[8], as it demands a slot for each partition, encodes values in base64 and keeps
its offsets on disk; the engine runs at local[2] with its log in memory. What runs on the JVM has 30 s at least before what
counts. Ratios are within a round; figures are medians, with the least and the most. The programs for the JVM are bench/spark,
bench/spark-realtime and bench/kafka-streams, built with Maven, which fetches them from Maven Central the first time; they
need a real Kafka (--brokers).
--write puts the table into a file, between its two markers.`,
		"inference": `
A compiled network and a loop of multiply-adds on registers run in turn, each on as many cores. The ratio is the network's
operations a second by the loop's.`,
		"broker": `
Nothing is measured: it prints its address and serves until standard input ends.`,
		"train": `
Passes over the training images run one after the other on one core, after one over a tenth of them. Figures are medians
of the passes.`,
	}
	return strings.TrimPrefix(texts[workload], "\n")
}
