/** The records of engine-bench's workloads, bit for bit. */
final class Records {
  private Records() {}

  /** A number that looks random and is another one for each i. */
  static long scrambled(long i) {
    long x = i + 0x9e3779b97f4a7c15L;
    x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
    x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
    return x ^ x >>> 31;
  }

  /** A number between 0 and 1 that looks random. */
  static double unit(long i) {
    return ((scrambled(i) >>> 12) + 0.5) / (1L << 52);
  }

  static String hex(long v) {
    byte[] b = new byte[16];
    writeHex(b, v);
    return new String(b, java.nio.charset.StandardCharsets.ISO_8859_1);
  }

  private static void writeHex(byte[] b, long v) {
    for (int j = 0; j < 16; j++) {
      b[j] = (byte) "0123456789abcdef".charAt((int) (v >>> 60 - 4 * j & 15));
    }
  }

  /** A record of 100 bytes that begins with what looks random. */
  static String wide(long i) {
    byte[] b = new byte[100];
    writeHex(b, scrambled(i));
    for (int j = 16; j < b.length; j++) {
      b[j] = (byte) ('a' + (i >>> j % 8 * 4 & 15));
    }
    return new String(b, java.nio.charset.StandardCharsets.ISO_8859_1);
  }

  /** The nodes that a node links to. */
  static long[] linksOf(long node, long nodes) {
    long[] links = new long[(int) Math.min(64, 1 + (long) (4 / Math.sqrt(unit(node))))];
    for (int i = 0; i < links.length; i++) {
      double u = unit((node << 6) + i);
      links[i] = (long) (u * u * u * nodes);
    }
    return links;
  }

  static final int DIMENSIONS = 20;

  /** A point near one of k places. */
  static double[] pointAt(long i, int k) {
    long place = Long.remainderUnsigned(scrambled(i), k);
    double[] p = new double[DIMENSIONS];
    for (int d = 0; d < DIMENSIONS; d++) {
      p[d] = 4 * unit(-1 - place * DIMENSIONS - d) + unit(i * DIMENSIONS + d);
    }
    return p;
  }
}
