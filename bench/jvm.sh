# Sourced by the run scripts of the programs for the JVM, which set here (their directory), work (where what is
# built lies) and main (the class), and pass their arguments:
#   build                      builds it with Maven
#   built                      fails unless that is done
#   WORKLOAD [--flag value ...]
# HEAP (4g) is the JVM's -Xmx, JOPTS are more options of it.
case ${1:-} in
build)
  if [ ! -e "$work/.built" ] || [ "$here/pom.xml" -nt "$work/.built" ] || [ "$here/../pom.xml" -nt "$work/.built" ]; then
    rm -rf "$work/jars" # of other versions, or of a build that broke off
  fi
  mvn -q -B -Dstyle.color=never -f "$here/pom.xml" -Dwork="$work" package
  touch "$work/.built"
  exit
  ;;
built)
  [ -e "$work/.built" ] && [ -z "$(find "$here/../pom.xml" "$here/pom.xml" "$here/src" -newer "$work/.built")" ]
  exit
  ;;
esac
if [ $# -eq 0 ] || [ ! -d "$work/jars" ]; then
  echo "usage: $0 build; $0 WORKLOAD [--flag value ...]" >&2
  exit 2
fi

# What Spark's own scripts open to it of Java 17.
opens=(-XX:+IgnoreUnrecognizedVMOptions -Djdk.reflect.useDirectMethodHandle=false)
for p in lang lang.invoke lang.reflect io net nio time util util.concurrent util.concurrent.atomic; do
  opens+=(--add-opens="java.base/java.$p=ALL-UNNAMED")
done
for p in sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar jdk.internal.ref; do
  opens+=(--add-opens="java.base/$p=ALL-UNNAMED")
done

# shellcheck disable=SC2086 # JOPTS is words
exec java "${opens[@]}" -Xmx"${HEAP:-4g}" ${JOPTS:-} -cp "$here/../spark/conf:$work/jars/*" "$main" "$@"
