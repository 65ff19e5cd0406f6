import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.streaming.Durations;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.kafka010.ConsumerStrategies;
import org.apache.spark.streaming.kafka010.KafkaUtils;
import org.apache.spark.streaming.kafka010.LocationStrategies;
import scala.Tuple2;

/** Reads lines from Kafka until all were read, and counts them or their words. */
final class WordCount {
  private static final int WORDS_PER_LINE = 10;

  private WordCount() {}

  static long lines(JavaSparkContext sc, Bench.Flags flags) throws Exception {
    return drain(sc, flags, flags.records, lines -> lines.map(String::length).count());
  }

  static long words(JavaSparkContext sc, Bench.Flags flags) throws Exception {
    return drain(sc, flags, flags.records * WORDS_PER_LINE, lines -> lines
        .flatMap(line -> Arrays.asList(line.split(" ")).iterator())
        .mapToPair(word -> new Tuple2<>(word, 1L))
        .reduceByKey(Long::sum)
        .map(Tuple2::_2));
  }

  /** Runs a stream until its counts add up to what is wanted. */
  private static long drain(JavaSparkContext sc, Bench.Flags flags, long want, Function<JavaDStream<String>, JavaDStream<Long>> program) throws Exception {
    var ssc = new JavaStreamingContext(sc, Durations.milliseconds(flags.number("interval", 1000)));
    Map<String, Object> consumer = Map.of(
        "bootstrap.servers", flags.text("brokers", "127.0.0.1:9092"),
        "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class,
        "group.id", UUID.randomUUID().toString(), "auto.offset.reset", "earliest", "enable.auto.commit", false);
    AtomicLong counted = new AtomicLong();
    var all = new CountDownLatch(1);
    var lines = KafkaUtils.createDirectStream(ssc, LocationStrategies.PreferConsistent(),
            ConsumerStrategies.<String, String>Subscribe(List.of(flags.text("topic", "bench-lines")), consumer))
        .map(ConsumerRecord::value);
    program.apply(lines).foreachRDD(counts -> {
      for (long n : counts.collect()) {
        counted.addAndGet(n);
      }
      if (counted.get() >= want) {
        all.countDown();
      }
    });
    ssc.start();
    all.await();
    return counted.get();
  }
}
