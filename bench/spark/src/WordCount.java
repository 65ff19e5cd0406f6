import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.streaming.Durations;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.kafka010.ConsumerStrategies;
import org.apache.spark.streaming.kafka010.KafkaUtils;
import org.apache.spark.streaming.kafka010.LocationStrategies;
import scala.Tuple2;

/** Splits lines from Kafka into words and counts them, until all lines were read. */
final class WordCount {
  private static final int WORDS_PER_LINE = 10;

  private WordCount() {}

  static long run(JavaSparkContext sc, Bench.Flags flags) throws Exception {
    var ssc = new JavaStreamingContext(sc, Durations.milliseconds(flags.number("interval", 1000)));
    Map<String, Object> consumer = Map.of(
        "bootstrap.servers", flags.text("brokers", "127.0.0.1:9092"),
        "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class,
        "group.id", UUID.randomUUID().toString(), "auto.offset.reset", "earliest", "enable.auto.commit", false);
    AtomicLong words = new AtomicLong();
    var all = new CountDownLatch(1);
    KafkaUtils.createDirectStream(ssc, LocationStrategies.PreferConsistent(),
            ConsumerStrategies.<String, String>Subscribe(List.of(flags.text("topic", "bench-lines")), consumer))
        .map(ConsumerRecord::value)
        .flatMap(line -> Arrays.asList(line.split(" ")).iterator())
        .mapToPair(word -> new Tuple2<>(word, 1L))
        .reduceByKey(Long::sum)
        .foreachRDD(counts -> {
          for (Tuple2<String, Long> c : counts.collect()) {
            words.addAndGet(c._2());
          }
          if (words.get() >= flags.records * WORDS_PER_LINE) {
            all.countDown();
          }
        });
    ssc.start();
    all.await();
    return words.get();
  }
}
