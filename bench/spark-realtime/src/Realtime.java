import static org.apache.spark.sql.functions.base64;
import static org.apache.spark.sql.functions.col;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.Trigger;

/**
 * The stateless query of Spark's real-time benchmark, with its settings, but without its observe() and header, and in one
 * process, not 3 executors: Kafka, base64 of the value, Kafka. A call is
 * {@code Realtime copy --brokers B --topic NAME --partitions N --dir DIR}; it ends with standard input.
 */
public final class Realtime {
  public static void main(String[] args) {
    if (args.length != 9 || !args[0].equals("copy")) {
      System.err.println("usage: Realtime copy --brokers B --topic NAME --partitions N --dir DIR");
      System.exit(2);
    }
    Map<String, String> flags = new HashMap<>();
    for (int i = 1; i < args.length; i += 2) {
      flags.put(args[i], args[i + 1]);
    }
    endWithStandardInput();
    try {
      copy(flags.get("--brokers"), flags.get("--topic"), Integer.parseInt(flags.get("--partitions")), flags.get("--dir"));
    } catch (Exception e) {
      e.printStackTrace();
      Runtime.getRuntime().halt(1); // Spark's threads would go on
    }
  }

  private static void copy(String brokers, String topic, int partitions, String dir) throws Exception {
    var conf = new SparkConf().setAppName("bench")
        .setIfMissing("spark.master", "local[" + (partitions + 3) + "]") // it refuses fewer slots than partitions
        .setIfMissing("spark.ui.enabled", "false")
        .set("spark.local.dir", dir + "/tmp")
        .set("spark.sql.streaming.pollingDelay", "10ms");
    SparkSession.builder().config(conf).getOrCreate()
        .readStream().format("kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("subscribe", topic + "-in")
        .option("startingOffsets", "earliest")
        .option("kafka.fetch.max.wait.ms", "10")
        .option("kafka.max.partition.fetch.bytes", "10485760")
        .load()
        .select(col("key"), base64(col("value")).as("value"))
        .writeStream().format("kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("topic", topic + "-out")
        .option("checkpointLocation", dir + "/checkpoint")
        .option("kafka.buffer.memory", "67108864")
        .option("kafka.compression.type", "snappy")
        .outputMode("update")
        .trigger(Trigger.RealTime(5, TimeUnit.MINUTES))
        .start()
        .awaitTermination();
  }

  private static void endWithStandardInput() {
    var end = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {
          // nothing is said
        }
      } catch (IOException e) {
        // it ends all the same
      }
      Runtime.getRuntime().halt(0); // Spark's shutdown is part of no figure
    });
    end.setDaemon(true);
    end.start();
  }
}
