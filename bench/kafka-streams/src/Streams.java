import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Twins of engine-bench's workloads on Kafka Streams, two threads. All words of wordcount go through a repartition
 * topic. A call is {@code Streams count|wordcount|copy [--flag value ...]}; the last line of the first two is one JSON object.
 */
public final class Streams {
  private static final int WORDS_PER_LINE = 10;

  private Streams() {}

  public static void main(String[] args) throws Exception {
    Map<String, String> flags = new HashMap<>();
    for (int i = 1; i + 1 < args.length; i += 2) {
      flags.put(args[i], args[i + 1]);
    }
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
    switch (args.length == 0 ? "" : args[0]) {
      case "count", "wordcount" -> drain(args[0], flags);
      case "copy" -> copy(flags);
      default -> {
        System.err.println("name a workload: count, wordcount, copy");
        System.exit(2);
      }
    }
  }

  /** Reads a topic, after as often as is asked for to warm up. */
  private static void drain(String workload, Map<String, String> flags) throws Exception {
    for (int i = Integer.parseInt(flags.getOrDefault("--warm-ups", "0")); i > 0; i--) {
      read(workload, flags);
    }
    System.out.printf(Locale.ROOT, "{\"workload\":\"%s\",\"records\":%s,\"seconds\":%.3f}%n", workload, flags.get("--records"), read(workload, flags));
    Runtime.getRuntime().halt(0);
  }

  /** Reads a topic until all is counted, and returns the seconds from its start. */
  private static double read(String workload, Map<String, String> flags) throws Exception {
    long records = Long.parseLong(flags.get("--records"));
    long want = workload.equals("count") ? records : records * WORDS_PER_LINE;
    var counted = new AtomicLong();
    var all = new CountDownLatch(1);
    var builder = new StreamsBuilder();
    KStream<byte[], String> lines = builder.stream(flags.get("--topic"), Consumed.with(Serdes.ByteArray(), Serdes.String()));
    if (workload.equals("count")) {
      lines.mapValues(String::length).foreach((key, length) -> note(counted, want, all));
    } else {
      lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
          .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
          .aggregate(() -> 0L, (word, again, n) -> {
            note(counted, want, all);
            return n + 1;
          }, Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("words")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long())
              .withLoggingDisabled()); // nor does the engine write a changelog
    }
    long started = System.nanoTime();
    try (var streams = start(builder, flags, new Properties())) { // its shutdown is part of no figure
      all.await();
      return (System.nanoTime() - started) / 1e9;
    }
  }

  private static void note(AtomicLong counted, long want, CountDownLatch all) {
    if (counted.incrementAndGet() == want) {
      all.countDown();
    }
  }

  /** Copies a topic to another one until standard input ends. */
  private static void copy(Map<String, String> flags) throws IOException {
    var builder = new StreamsBuilder();
    builder.stream(flags.get("--topic") + "-in", Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .mapValues(value -> value)
        .to(flags.get("--topic") + "-out", Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
    var noLinger = new Properties(); // its default is 100 ms
    noLinger.put("producer.linger.ms", 0);
    start(builder, flags, noLinger);
    while (System.in.read() >= 0) {
      // nothing is said
    }
    Runtime.getRuntime().halt(0);
  }

  private static KafkaStreams start(StreamsBuilder builder, Map<String, String> flags, Properties more) {
    var p = new Properties();
    p.putAll(more);
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, flags.get("--topic") + "-" + UUID.randomUUID()); // and so do its own topics begin
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, flags.get("--brokers"));
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    p.put(StreamsConfig.STATE_DIR_CONFIG, flags.get("--dir"));
    p.put("auto.offset.reset", "earliest");
    var streams = new KafkaStreams(builder.build(), p);
    streams.setUncaughtExceptionHandler(e -> {
      e.printStackTrace();
      Runtime.getRuntime().halt(1);
      return null;
    });
    streams.start();
    return streams;
  }
}
