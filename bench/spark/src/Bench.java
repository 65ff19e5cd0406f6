import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.streaming.StreamingContext;
import scala.Tuple2;

/**
 * Twins of engine-bench's workloads: the same records, the same operators. A call is
 * {@code Bench WORKLOAD [--flag value ...]}; the last line of standard output is one JSON object.
 */
public final class Bench {
  /** One workload: what it made, and how many results came of it. */
  private interface Workload {
    long run(JavaSparkContext sc, Flags flags) throws Exception;
  }

  private record Entry(long records, Workload workload) {}

  public static void main(String[] args) throws Exception {
    Map<String, Entry> workloads = Map.of(
        "count", new Entry(5_000_000, WordCount::lines),
        "wordcount", new Entry(5_000_000, WordCount::words),
        "sort", new Entry(20_000_000, Bench::sort),
        "join", new Entry(5_000_000, Bench::join),
        "group", new Entry(100_000_000, Bench::group),
        "pagerank", new Entry(1_000_000, Bench::pageRank),
        "kmeans", new Entry(1_000_000, Bench::kMeans));
    Entry entry = args.length == 0 ? null : workloads.get(args[0]);
    if (entry == null) {
      System.err.println("name a workload: " + workloads.keySet());
      System.exit(2);
    }
    Flags flags = new Flags(args, entry.records());
    var conf = new SparkConf().setAppName("bench")
        .setIfMissing("spark.master", "local[2]")
        .setIfMissing("spark.ui.enabled", "false")
        .setIfMissing("spark.local.dir", flags.text("dir", System.getProperty("java.io.tmpdir")))
        .setIfMissing("spark.serializer", "org.apache.spark.serializer.KryoSerializer");
    for (int i = 0; i < flags.number("warm-ups", 0); i++) {
      var sc = new JavaSparkContext(conf);
      entry.workload().run(sc, flags);
      var stream = StreamingContext.getActive();
      if (stream.isDefined()) {
        stream.get().stop(false, false);
      }
      sc.stop();
    }
    long started = System.nanoTime();
    long results = entry.workload().run(new JavaSparkContext(conf), flags);
    double seconds = (System.nanoTime() - started) / 1e9;
    System.out.printf(Locale.ROOT, "{\"workload\":\"%s\",\"records\":%d,\"results\":%d,\"seconds\":%.3f,"
        + "\"process_seconds\":%.3f,\"master\":\"%s\",\"peak_rss_mib\":%d}%n",
        args[0], flags.records, results, seconds,
        java.lang.management.ManagementFactory.getRuntimeMXBean().getUptime() / 1e3, conf.get("spark.master"), peakRSS());
    Runtime.getRuntime().halt(0); // Spark's shutdown is part of no figure
  }

  private static JavaRDD<Long> range(JavaSparkContext sc, long n, Flags flags) {
    return sc.sc().range(0, n, 1, flags.partitions).toJavaRDD().map(i -> (Long) i);
  }

  private static long sort(JavaSparkContext sc, Flags flags) {
    return range(sc, flags.records, flags).map(Records::wide).sortBy(s -> s, true, flags.partitions)
        .mapPartitions(in -> {
          String last = "";
          long n = 0;
          for (; in.hasNext(); n++) {
            String s = in.next();
            if (s.compareTo(last) < 0) {
              throw new IllegalStateException(s + " comes after " + last);
            }
            last = s;
          }
          return List.of(n).iterator();
        }).reduce(Long::sum);
  }

  private static long join(JavaSparkContext sc, Flags flags) {
    long keys = Math.max(1, flags.records / 5);
    JavaPairRDD<Long, String> left = range(sc, flags.records, flags).mapToPair(i ->
        new Tuple2<>(Long.remainderUnsigned(Records.scrambled(i), keys), "left value " + Records.hex(Records.scrambled(i))));
    JavaPairRDD<Long, String> right = range(sc, keys, flags).mapToPair(i ->
        new Tuple2<>(i, "right value " + Records.hex(Records.scrambled(i))));
    return left.join(right, flags.partitions).count();
  }

  private static long group(JavaSparkContext sc, Flags flags) {
    long keys = Math.max(1, flags.records / 100);
    return range(sc, flags.records, flags)
        .mapToPair(i -> new Tuple2<>(Long.remainderUnsigned(Records.scrambled(i), keys), Records.wide(i)))
        .groupByKey(flags.partitions)
        .map(group -> {
          long n = 0;
          for (String ignored : group._2()) {
            n++;
          }
          return n;
        }).reduce(Long::sum);
  }

  private static long pageRank(JavaSparkContext sc, Flags flags) {
    long nodes = flags.records;
    JavaPairRDD<Long, Iterable<Long>> links = range(sc, nodes, flags).flatMapToPair(node -> {
      List<Tuple2<Long, Long>> edges = new ArrayList<>();
      for (long to : Records.linksOf(node, nodes)) {
        edges.add(new Tuple2<>(node, to));
      }
      return edges.iterator();
    }).groupByKey(flags.partitions).cache();
    JavaPairRDD<Long, Double> ranks = links.mapValues(to -> 1.0);
    for (int i = 0; i < flags.iterations(10); i++) {
      ranks = links.join(ranks).values().flatMapToPair(node -> {
        int n = 0;
        for (long ignored : node._1()) {
          n++;
        }
        List<Tuple2<Long, Double>> parts = new ArrayList<>(n);
        for (long to : node._1()) {
          parts.add(new Tuple2<>(to, node._2() / n));
        }
        return parts.iterator();
      }).reduceByKey(Double::sum, flags.partitions).mapValues(sum -> 0.15 + 0.85 * sum);
    }
    return ranks.collect().size();
  }

  /** A number of points and what they add up to. */
  private static final class PointSum implements java.io.Serializable {
    long n;
    final double[] of = new double[Records.DIMENSIONS];

    PointSum add(double[] p) {
      return join(1, p);
    }

    PointSum join(PointSum o) {
      return join(o.n, o.of);
    }

    private PointSum join(long n, double[] p) {
      for (int d = 0; d < of.length; d++) {
        of[d] += p[d];
      }
      this.n += n;
      return this;
    }

    double[] mean() {
      double[] mean = of.clone();
      for (int d = 0; d < mean.length; d++) {
        mean[d] /= n;
      }
      return mean;
    }
  }

  private static int nearest(double[] p, double[][] centres) {
    int best = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < centres.length; i++) {
      double sum = 0;
      for (int d = 0; d < p.length; d++) {
        sum += (p[d] - centres[i][d]) * (p[d] - centres[i][d]);
      }
      if (sum < least) {
        best = i;
        least = sum;
      }
    }
    return best;
  }

  private static long kMeans(JavaSparkContext sc, Flags flags) {
    int k = flags.number("k", 10);
    JavaRDD<double[]> points = range(sc, flags.records, flags).map(i -> Records.pointAt(i, k)).cache();
    double[][] centres = new double[k][];
    for (int i = 0; i < k; i++) {
      centres[i] = Records.pointAt(i, k);
    }
    for (int i = 0; i < flags.iterations(20); i++) {
      double[][] old = centres;
      Map<Integer, PointSum> sums = points.keyBy(p -> nearest(p, old))
          .aggregateByKey(new PointSum(), PointSum::add, PointSum::join).collectAsMap();
      centres = old.clone();
      for (Map.Entry<Integer, PointSum> s : sums.entrySet()) {
        centres[s.getKey()] = s.getValue().mean();
      }
    }
    return centres.length;
  }

  /** The largest resident set of this process, in MiB. */
  private static long peakRSS() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
      }
    }
    return 0;
  }

  /** The flags of a call, named as engine-bench's. */
  static final class Flags implements java.io.Serializable {
    private final HashMap<String, String> given = new HashMap<>();
    final long records;
    final int partitions;

    Flags(String[] args, long records) {
      for (int i = 1; i + 1 < args.length; i += 2) {
        given.put(args[i].replaceFirst("^--", ""), args[i + 1]);
      }
      this.records = Long.parseLong(text("records", "" + records));
      partitions = number("partitions", 16);
    }

    String text(String name, String otherwise) {
      return given.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
      return Integer.parseInt(text(name, "" + otherwise));
    }

    int iterations(int otherwise) {
      return number("iterations", otherwise);
    }
  }
}
